// Two warps meet at a named barrier while a third does something else; one of the two has left.
extern "C" __global__ void barrier_missed_by_return(const int* x, int* y, int n) {
    __shared__ int tile[64];
    int t = threadIdx.x;
    if (t >= 64) {
        y[t] = x[t];
        return;
    }
#ifdef DEFECT
    if (t >= n) return;
    tile[t] = x[t];
#else
    tile[t] = t < n ? x[t] : 0;
#endif
    asm volatile("bar.sync 2, 64;" ::: "memory");  // defect
    if (t < n) y[t] = tile[n - 1 - t];
}
