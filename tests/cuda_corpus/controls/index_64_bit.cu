// Offsets beyond 32 bits that cancel before the access.
extern "C" __global__ void index_64_bit(const float* x, float* y, long long origin, int n) {
    long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x;
    const float* shifted = x - origin;
    if (i < n) y[i] = shifted[origin + (n - 1 - i)];
}
