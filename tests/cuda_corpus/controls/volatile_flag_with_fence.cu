// A chain of blocks, each adding to the sum of the one before; the flag is a volatile plain word.
extern "C" __global__ void volatile_flag_with_fence(const int* x, volatile int* sums,
                                                    volatile int* ready) {
    if (threadIdx.x != 0) return;
    int b = blockIdx.x, before = 0;
    if (b > 0) {
        while (ready[b - 1] == 0) {}
        __threadfence();
        before = sums[b - 1];
    }
    sums[b] = before + x[b];
    __threadfence();
    ready[b] = 1;
}
