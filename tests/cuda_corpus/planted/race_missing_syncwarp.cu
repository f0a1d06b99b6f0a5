// Neighbours in a warp exchange values; since Volta, nothing orders the lanes of a warp by itself.
extern "C" __global__ void race_missing_syncwarp(const int* x, int* y) {
    __shared__ int tile[32];
    int lane = threadIdx.x;
    tile[lane] = x[lane];  // defect
#ifndef DEFECT
    __syncwarp();
#endif
    y[lane] = tile[lane ^ 1];  // defect
}
