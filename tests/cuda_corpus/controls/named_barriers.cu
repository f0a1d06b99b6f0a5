// Two pairs of warps, each with a barrier of its own, while the pairs stay apart.
extern "C" __global__ void named_barriers(const int* x, int* y) {
    __shared__ int tile[128];
    int t = threadIdx.x, pair = t / 64;
    for (int r = 0; r <= pair; ++r) {
        tile[t] = x[t] + r;
        asm volatile("bar.sync %0, 64;" ::"r"(1 + pair) : "memory");
        y[t] = tile[pair * 64 + 63 - t % 64];
        asm volatile("bar.sync %0, 64;" ::"r"(1 + pair) : "memory");
    }
}
