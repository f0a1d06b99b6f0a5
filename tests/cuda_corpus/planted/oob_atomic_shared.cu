// The same in shared memory, where a bin too far belongs to another array.
extern "C" __global__ void oob_atomic_shared(const int* x, int* bins) {
    __shared__ int count[16];
    int t = threadIdx.x;
    if (t < 16) count[t] = 0;
    __syncthreads();
#ifdef DEFECT
    int bin = x[t] >> 3;
#else
    int bin = (x[t] >> 3) & 15;
#endif
    atomicAdd(&count[bin], 1);  // defect
    __syncthreads();
    if (t < 16) bins[t] = count[t];
}
