// The lanes of a warp meet at a warp barrier that stands in each branch of a condition.
extern "C" __global__ void syncwarp_in_both_branches(const int* x, int* y) {
    __shared__ int tile[32];
    int lane = threadIdx.x;
    if (lane % 2) {
        tile[lane] = x[lane];
        __syncwarp();
        y[lane] = tile[lane - 1];
    } else {
        tile[lane] = -x[lane];
        __syncwarp();
        y[lane] = 2 * tile[lane + 1];
    }
}
