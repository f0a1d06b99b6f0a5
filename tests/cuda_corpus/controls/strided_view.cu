// The raw memory of every third column, with the stride passed along.
extern "C" __global__ void strided_view(const float* x, float* y, int rows, int columns,
                                        long long row_stride, long long column_stride) {
    int c = threadIdx.x, r = blockIdx.x;
    if (c < columns && r < rows) y[r * columns + c] = -x[r * row_stride + c * column_stride];
}
