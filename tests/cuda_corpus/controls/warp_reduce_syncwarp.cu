// Warp-synchronous code as it has to be since Volta: a warp barrier between reads and writes.
extern "C" __global__ void warp_reduce_syncwarp(const int* x, int* y) {
    __shared__ int part[64];
    int t = threadIdx.x, lane = t % 32;
    int value = x[blockIdx.x * 64 + t];
    part[t] = value;
    __syncwarp();
    for (int half = 16; half > 0; half /= 2) {
        if (lane < half) value += part[t + half];
        __syncwarp();
        if (lane < half) part[t] = value;
        __syncwarp();
    }
    if (lane == 0) y[blockIdx.x * 2 + t / 32] = value;
}
