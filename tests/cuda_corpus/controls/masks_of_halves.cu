// Each half of a warp goes its own way, and shuffles, votes and waits within itself.
extern "C" __global__ void masks_of_halves(const int* x, int* y) {
    __shared__ int tile[32];
    int lane = threadIdx.x, value = x[lane];
    if (lane < 16) {
        for (int step = 8; step > 0; step /= 2) value += __shfl_xor_sync(0x0000ffffu, value, step);
        y[lane] = __any_sync(0x0000ffffu, value > 1000) ? -1 : value;
    } else {
        tile[lane] = value;
        __syncwarp(0xffff0000u);
        y[lane] = tile[47 - lane] + __popc(__ballot_sync(0xffff0000u, value % 2));
    }
}
