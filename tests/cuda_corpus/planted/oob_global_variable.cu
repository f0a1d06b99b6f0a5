// Eight counters live in the module itself; the ninth does not.
__device__ int counters[8];
extern "C" __global__ void oob_global_variable(const int* x, int* y, int n) {
    int i = threadIdx.x;
    if (i >= n) return;
#ifdef DEFECT
    int which = x[i];
#else
    int which = x[i] % 8;
#endif
    atomicAdd(&counters[which], 1);  // defect
    __syncthreads();
    if (i < 8) y[i] = counters[i];
}
