// y (columns, rows) = x (rows, columns) transposed, in tiles of 32 with 8 rows of threads.
extern "C" __global__ void transpose(const int* x, int* y, int rows, int columns) {
    __shared__ int tile[32][33];
    int column = blockIdx.x * 32 + threadIdx.x;
    int row = blockIdx.y * 32 + threadIdx.y;
    for (int j = 0; j < 32; j += 8)
        if (column < columns && row + j < rows)
            tile[threadIdx.y + j][threadIdx.x] = x[(row + j) * columns + column];
    __syncthreads();
    column = blockIdx.y * 32 + threadIdx.x;
    row = blockIdx.x * 32 + threadIdx.y;
    for (int j = 0; j < 32; j += 8)
        if (column < rows && row + j < columns)
            y[(row + j) * rows + column] = tile[threadIdx.x][threadIdx.y + j];
}
