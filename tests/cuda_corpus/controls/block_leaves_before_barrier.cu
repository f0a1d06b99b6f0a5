// Whole blocks leave, or take a branch with barriers of its own: uniform within each block.
extern "C" __global__ void block_leaves_before_barrier(const int* x, int* y, int blocks) {
    __shared__ int tile[32];
    int t = threadIdx.x;
    if (blockIdx.x >= blocks) return;
    if (blockIdx.x % 2) {
        tile[t] = x[blockIdx.x * 32 + t];
        __syncthreads();
        y[blockIdx.x * 32 + t] = tile[31 - t];
    } else {
        y[blockIdx.x * 32 + t] = x[blockIdx.x * 32 + t];
    }
}
