// c (m, n) = a (m, k) times b (k, n), in tiles of 16 through shared memory.
extern "C" __global__ void matmul(const float* a, const float* b, float* c, int m, int n, int k) {
    __shared__ float left[16][16];
    __shared__ float right[16][17];
    const int tx = threadIdx.x, ty = threadIdx.y;
    const int row = blockIdx.y * 16 + ty, column = blockIdx.x * 16 + tx;
    float sum = 0.0f;
    for (int start = 0; start < k; start += 16) {
        left[ty][tx] = row < m && start + tx < k ? a[row * k + start + tx] : 0.0f;
        right[ty][tx] = start + ty < k && column < n ? b[(start + ty) * n + column] : 0.0f;
        __syncthreads();  // tiles are complete
        for (int j = 0; j < 16; ++j) sum += left[ty][j] * right[j][tx];
        __syncthreads();  // tiles are used
    }
    if (row < m && column < n) c[row * n + column] = sum;
}
