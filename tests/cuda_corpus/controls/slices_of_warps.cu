// Every warp works in its own slice of shared memory, round after round, with warp barriers only.
extern "C" __global__ void slices_of_warps(const int* x, int* y, int rounds) {
    __shared__ int slices[4][32];
    int lane = threadIdx.x % 32, warp = threadIdx.x / 32, sum = 0;
    for (int r = warp; r < rounds; r += 4) {
        slices[warp][lane] = x[32 * r + lane];
        __syncwarp();
        sum += slices[warp][(lane + 1) % 32] - slices[warp][(lane + 5) % 32] / 2;
        __syncwarp();
    }
    y[threadIdx.x] = sum;
}
