// Each thread takes the value on its left from shared memory; the first has none.
extern "C" __global__ void oob_shared_before_start(const int* x, int* y) {
    __shared__ int tile[64];
    int t = threadIdx.x;
    tile[t] = x[t];
    __syncthreads();
#ifdef DEFECT
    y[t] = x[t] - tile[t - 1];  // defect
#else
    y[t] = t > 0 ? x[t] - tile[t - 1] : x[t];
#endif
}
