// A named barrier for 96 threads at which only the 64 of two warps arrive.
extern "C" __global__ void barrier_count_too_high(const int* x, int* y) {
    __shared__ int tile[64];
    int t = threadIdx.x;
    if (t >= 64) return;
    tile[t] = x[t];
#ifdef DEFECT
    asm volatile("bar.sync 1, 96;" ::: "memory");  // defect
#else
    asm volatile("bar.sync 1, 64;" ::: "memory");
#endif
    y[t] = tile[63 - t];
}
