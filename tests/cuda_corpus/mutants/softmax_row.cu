// Softmax of each row by a warp, the row's values in registers.
extern "C" __global__ void softmax_row(const float* x, float* y, int rows, int length) {
    const int lane = threadIdx.x % 32;
    const int row = (blockIdx.x * blockDim.x + threadIdx.x) / 32;
    if (row >= rows) return;
    float most = -3.0e38f;
    for (int i = lane; i < length; i += 32) most = fmaxf(most, x[row * length + i]);
    for (int step = 16; step > 0; step /= 2)
        most = fmaxf(most, __shfl_xor_sync(0xffffffffu, most, step));
    float sum = 0.0f;
    for (int i = lane; i < length; i += 32) sum += expf(x[row * length + i] - most);
    for (int half = 16; half > 0; half /= 2)
        sum += __shfl_xor_sync(0xffffffffu, sum, half);
    for (int i = lane; i < length; i += 32)
        y[row * length + i] = expf(x[row * length + i] - most) / sum;
}
