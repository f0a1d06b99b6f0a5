// Counts bytes: each block in shared memory first, then added to the total.
extern "C" __global__ void histogram(const unsigned char* x, unsigned* bins, int n) {
    __shared__ unsigned count[256];
    for (int k = threadIdx.x; k < 256; k += blockDim.x) count[k] = 0;
    __syncthreads();  // cleared
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x)
        atomicAdd(&count[x[i]], 1u);
    __syncthreads();  // counted
    for (int k = threadIdx.x; k < 256; k += blockDim.x)
        if (count[k] > 0) atomicAdd(&bins[k], count[k]);
}
