// A warp barrier for all lanes at which a quarter cannot arrive: it has left.
extern "C" __global__ void mask_syncwarp(const int* x, int* y) {
    __shared__ int tile[32];
    int lane = threadIdx.x;
    if (lane >= 24) return;
    tile[lane] = x[lane];
#ifdef DEFECT
    __syncwarp();  // defect
#else
    __syncwarp(0x00ffffffu);
#endif
    y[lane] = tile[23 - lane];
}
