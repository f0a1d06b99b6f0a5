// A histogram in dynamic shared memory that nobody set to zero.
extern "C" __global__ void uninit_shared_dynamic(const int* x, int* bins, int n, int size) {
    extern __shared__ int count[];
#ifndef DEFECT
    for (int k = threadIdx.x; k < size; k += blockDim.x) count[k] = 0;
    __syncthreads();
#endif
    for (int i = threadIdx.x; i < n; i += blockDim.x) atomicAdd(&count[x[i]], 1);  // defect
    __syncthreads();
    for (int k = threadIdx.x; k < size; k += blockDim.x) bins[k] = count[k];
}
