// A loop with a barrier whose threads make different numbers of rounds.
extern "C" __global__ void barrier_in_loop(const int* x, int* y, int n) {
    __shared__ int tile[64];
    int t = threadIdx.x, sum = 0;
#ifdef DEFECT
    for (int i = t; i < n; i += 64) {
        tile[t] = x[i];
#else
    for (int i = t; i < (n + 63) / 64 * 64; i += 64) {
        tile[t] = i < n ? x[i] : 0;
#endif
        __syncthreads();  // defect
        sum += tile[0];
        __syncthreads();  // defect
    }
    tile[t] = sum;
    __syncthreads();  // defect
    y[t] = tile[63 - t];
}
