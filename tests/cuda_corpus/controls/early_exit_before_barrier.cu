// Threads behind the end leave before the barrier: the hardware counts those that have left.
extern "C" __global__ void early_exit_before_barrier(const int* x, int* y, int n) {
    __shared__ int tile[64];
    int t = threadIdx.x, i = blockIdx.x * 64 + t;
    if (i >= n) return;
    tile[t] = x[i];
    __syncthreads();
    int last = min(63, n - 1 - blockIdx.x * 64);
    y[i] = tile[last - t];
}
