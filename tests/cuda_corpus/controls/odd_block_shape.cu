// A block of 7 x 5 x 3 threads, the grid likewise in three dimensions.
extern "C" __global__ void odd_block_shape(int* y) {
    int x = blockIdx.x * 7 + threadIdx.x, r = blockIdx.y * 5 + threadIdx.y;
    int p = blockIdx.z * 3 + threadIdx.z;
    __shared__ int sum;
    if (threadIdx.x + threadIdx.y + threadIdx.z == 0) sum = 0;
    __syncthreads();
    atomicAdd(&sum, 1);
    __syncthreads();
    if (x < 10 && r < 8 && p < 5) y[(p * 8 + r) * 10 + x] = 100 * p + 10 * r + x + sum;
}
