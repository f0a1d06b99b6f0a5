// linear: the bias in every row of the output, for cuBLAS to add the product to.

#include <cuda_fp16.h>

// `out` has `count` elements in rows of `columns`, `bias` has `columns`; both contiguous. Threads
// stride over the grid.
template <typename T>
__global__ void __launch_bounds__(256)
fill_rows(const T* __restrict__ bias, T* __restrict__ out, long long columns, long long count) {
    const long long stride = (long long)gridDim.x * blockDim.x;
    long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x;
    if (i >= count) return;
    // A division once, and additions from there on: 64-bit remainders take a hundred instructions.
    long long column = i % columns;
    const long long step = stride % columns;
    for (; i < count; i += stride) {
        out[i] = bias[column];
        column += step;
        if (column >= columns) column -= columns;
    }
}
