// Sum of an array: shuffles within a warp, shared memory between warps, an atomic between blocks.
extern "C" __global__ void block_sum(const float* x, float* sum, int n) {
    __shared__ float part[32];
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    float value = 0.0f;
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x)
        value += x[i];
    for (int step = 16; step > 0; step /= 2)
        value += __shfl_down_sync(0xffffffffu, value, step);
    if (lane == 0) part[warp] = value;
    __syncthreads();
    if (warp == 0) {
        value = lane < blockDim.x / 32 ? part[lane] : 0.0f;
        for (int half = 16; half > 0; half /= 2)
            value += __shfl_xor_sync(0xffffffffu, value, half);
        if (lane == 0) atomicAdd(sum, value);
    }
}
