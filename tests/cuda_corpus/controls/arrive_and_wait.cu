// Producer warp and consumer warp: one arrives at a barrier without waiting, the other waits.
extern "C" __global__ void arrive_and_wait(const int* x, int* y, int rounds) {
    __shared__ int slot[32];
    int lane = threadIdx.x % 32;
    for (int r = 0; r < rounds; ++r) {
        if (threadIdx.x < 32) {
            if (r > 0) asm volatile("bar.sync 2, 64;" ::: "memory");
            slot[lane] = x[32 * r + lane];
            asm volatile("bar.arrive 1, 64;" ::: "memory");
        } else {
            asm volatile("bar.sync 1, 64;" ::: "memory");
            y[32 * r + lane] = slot[31 - lane];
            if (r + 1 < rounds) asm volatile("bar.arrive 2, 64;" ::: "memory");
        }
    }
}
