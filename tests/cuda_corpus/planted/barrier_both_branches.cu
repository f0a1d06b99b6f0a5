// Each branch has a barrier of its own: not the same one for all threads of the block.
extern "C" __global__ void barrier_both_branches(const int* x, int* y) {
    __shared__ int tile[64];
    int t = threadIdx.x;
    tile[t] = x[t];
#ifdef DEFECT
    if (t % 2) {
        __syncthreads();  // defect
        y[t] = tile[63 - t];
    } else {
        __syncthreads();  // defect
        y[t] = -tile[63 - t];
    }
#else
    __syncthreads();
    y[t] = t % 2 ? tile[63 - t] : -tile[63 - t];
#endif
}
