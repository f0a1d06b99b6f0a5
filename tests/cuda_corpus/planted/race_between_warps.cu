// A warp barrier orders one warp, not the block.
extern "C" __global__ void race_between_warps(const int* x, int* y) {
    __shared__ int tile[64];
    int t = threadIdx.x;
    tile[t] = x[t];  // defect
#ifdef DEFECT
    __syncwarp();
#else
    __syncthreads();
#endif
    y[t] = tile[(t + 32) % 64];  // defect
}
