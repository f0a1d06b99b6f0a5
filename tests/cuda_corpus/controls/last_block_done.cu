// A reduction in one launch: the block that finishes last adds what all have left in memory.
extern "C" __global__ void last_block_done(const float* x, float* part, unsigned* done, float* sum,
                                           int n) {
    __shared__ float tile[64];
    __shared__ bool last;
    int t = threadIdx.x;
    float value = 0.0f;
    for (int i = blockIdx.x * 64 + t; i < n; i += gridDim.x * 64) value += x[i];
    tile[t] = value;
    __syncthreads();
    for (int half = 32; half > 0; half /= 2) {
        if (t < half) tile[t] += tile[t + half];
        __syncthreads();
    }
    if (t == 0) {
        part[blockIdx.x] = tile[0];
        __threadfence();
        last = atomicAdd(done, 1u) == gridDim.x - 1;
    }
    __syncthreads();
    if (last && t == 0) {
        float total = 0.0f;
        for (int b = 0; b < gridDim.x; ++b) total += part[b];
        *sum = total;
        *done = 0;
    }
}
