// Inclusive prefix sums of each row of 128, by Hillis and Steele with two buffers.
extern "C" __global__ void scan(const int* x, int* y) {
    __shared__ int buffer[2][128];
    const int t = threadIdx.x;
    int now = 0;
    buffer[now][t] = x[blockIdx.x * 128 + t];
    __syncthreads();
    for (int step = 1; step < 128; step *= 2) {
        int value = buffer[now][t];
        if (t >= step) value += buffer[now][t - step];
        now = 1 - now;
        buffer[now][t] = value;
        __syncthreads();  // of the round
    }
    y[blockIdx.x * 128 + t] = buffer[now][t];
}
