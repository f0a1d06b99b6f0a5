// Normalises each row by its mean and variance; a block takes a row.
extern "C" __global__ void layernorm(const float* x, const float* weight, const float* bias,
                                     float* y, int length, float eps) {
    __shared__ float sums[64];
    __shared__ float squares[64];
    const int t = threadIdx.x;
    const float* row = x + blockIdx.x * length;
    float sum = 0.0f, square = 0.0f;
    for (int i = t; i < length; i += 64) {
        sum += row[i];
        square += row[i] * row[i];
    }
    sums[t] = sum;
    squares[t] = square;
    __syncthreads();  // of all threads' sums
    for (int half = 32; half > 0; half /= 2) {
        if (t < half) {
            sums[t] += sums[t + half];
            squares[t] += squares[t + half];
        }
        __syncthreads();  // of the round
    }
    const float mean = sums[0] / length;
    const float variance = squares[0] / length - mean * mean;
    const float scale = rsqrtf(variance + eps);
    for (int i = t; i < length; i += 64)
        y[blockIdx.x * length + i] = (row[i] - mean) * scale * weight[i] + bias[i];
}
