// A barrier that half of a warp never meets, while it waits at another.
extern "C" __global__ void barrier_in_branch(const int* x, int* y) {
    __shared__ int tile[64];
    int t = threadIdx.x;
    tile[t] = x[t];
    if (t < 48) {
#ifdef DEFECT
        __syncthreads();  // defect
#endif
        y[t] = x[t] + 1;
    }
    __syncthreads();  // defect
    y[t] = tile[63 - t];
}
