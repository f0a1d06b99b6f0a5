// A maximum by "write mine if it is larger": two threads may see the same old value.
extern "C" __global__ void race_write_write_shared(const int* x, int* y) {
    __shared__ int most;
    int t = threadIdx.x;
    if (t == 0) most = 0;
    __syncthreads();
#ifdef DEFECT
    if (x[t] > most) most = x[t];  // defect
#else
    atomicMax(&most, x[t]);
#endif
    __syncthreads();
    if (t == 0) *y = most;
}
