// rms_norm_backward: with r = 1 / sqrt(mean(x^2) + eps) for each row and p = grad * weight,
// r * (p - x * r^2 * mean(p * x)), and the sum of grad * x * r over rows. float16 is computed in
// float32. Nothing is added in an order that depends on the run.

#include <cuda_fp16.h>

template <typename T> struct Wide { using type = float; };
template <> struct Wide<double> { using type = double; };

__device__ inline float root(float x) { return sqrtf(x); }
__device__ inline double root(double x) { return sqrt(x); }

template <typename T, int N> struct alignas(sizeof(T) * N) Pack { T item[N]; };

__device__ inline bool aligned16(const void* p) {
    return (reinterpret_cast<unsigned long long>(p) & 15) == 0;
}

// The sums of two values over the threads of a row, in every one of them. A row has one warp, or
// all of the block (then blockDim.y is 1); `scratch` holds two values per warp.
template <typename W> __device__ inline void row_sums(W& a, W& b, W (*scratch)[2]) {
    for (int offset = 16; offset; offset /= 2) {
        a += __shfl_xor_sync(0xffffffffu, a, offset);
        b += __shfl_xor_sync(0xffffffffu, b, offset);
    }
    if (blockDim.x == 32) return;
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, warps = blockDim.x / 32;
    if (lane == 0) {
        scratch[warp][0] = a;
        scratch[warp][1] = b;
    }
    __syncthreads();
    a = lane < warps ? scratch[lane][0] : W(0);
    b = lane < warps ? scratch[lane][1] : W(0);
    for (int offset = 16; offset; offset /= 2) {
        a += __shfl_xor_sync(0xffffffffu, a, offset);
        b += __shfl_xor_sync(0xffffffffu, b, offset);
    }
    // The next row writes to scratch: not before every warp has read it.
    __syncthreads();
}

// One row, `N` elements at a time; `N` divides `length`. The second reading of the row comes from
// the cache. Returns r.
template <typename T, int N>
__device__ inline typename Wide<T>::type row_backward(
    const T* grad, const T* x, const T* weight, T* of_x, long long length, double eps,
    typename Wide<T>::type (*scratch)[2]) {
    using W = typename Wide<T>::type;
    using P = Pack<T, N>;
    const long long packs = length / N;
    W squares = 0, products = 0;
    for (long long i = threadIdx.x; i < packs; i += blockDim.x) {
        const P g = reinterpret_cast<const P*>(grad)[i];
        const P v = reinterpret_cast<const P*>(x)[i];
        const P w = reinterpret_cast<const P*>(weight)[i];
#pragma unroll
        for (int k = 0; k < N; ++k) {
            squares += W(v.item[k]) * W(v.item[k]);
            products += W(g.item[k]) * W(w.item[k]) * W(v.item[k]);
        }
    }
    row_sums(squares, products, scratch);
    const W r = W(1) / root(squares / W(length) + W(eps));
    // In this order: the cube of r may be out of range where the whole is not.
    const W along = r * (products * r / W(length)) * r;
    for (long long i = threadIdx.x; i < packs; i += blockDim.x) {
        const P g = reinterpret_cast<const P*>(grad)[i];
        const P v = reinterpret_cast<const P*>(x)[i];
        const P w = reinterpret_cast<const P*>(weight)[i];
        P o;
#pragma unroll
        for (int k = 0; k < N; ++k)
            o.item[k] = T(r * (W(g.item[k]) * W(w.item[k])) - W(v.item[k]) * along);
        reinterpret_cast<P*>(of_x)[i] = o;
    }
    return r;
}

// grad, x and of_x are (rows, length), contiguous; a block takes blockDim.y rows at a time, each
// with blockDim.x threads, a multiple of 32. `scales` gets r for each row. With 1024 threads,
// registers would be spilled.
template <typename T>
__global__ void __launch_bounds__(512)
rms_norm_backward_rows(const T* __restrict__ grad, const T* __restrict__ x,
                       const T* __restrict__ weight, T* __restrict__ of_x,
                       typename Wide<T>::type* __restrict__ scales, long long rows,
                       long long length, double eps) {
    using W = typename Wide<T>::type;
    constexpr int N = 16 / sizeof(T);
    __shared__ W scratch[32][2];
    const bool wide =
        length % N == 0 && aligned16(grad) && aligned16(x) && aligned16(weight) && aligned16(of_x);
    const long long stride = (long long)gridDim.x * blockDim.y;
    for (long long row = blockIdx.x * (long long)blockDim.y + threadIdx.y; row < rows;
         row += stride) {
        const long long at = row * length;
        const W r = wide ? row_backward<T, N>(grad + at, x + at, weight, of_x + at, length, eps,
                                              scratch)
                         : row_backward<T, 1>(grad + at, x + at, weight, of_x + at, length, eps,
                                              scratch);
        if (threadIdx.x == 0) scales[row] = r;
    }
}

// parts is (gridDim.y, length): block (i, j) sums grad * x * r over its share of the rows, for the
// 32 columns from 32 i on. 32 x 8 threads: a warp reads neighbours.
template <typename T>
__global__ void __launch_bounds__(256)
rms_norm_backward_parts(const T* __restrict__ grad, const T* __restrict__ x,
                        const typename Wide<T>::type* __restrict__ scales,
                        typename Wide<T>::type* __restrict__ parts, long long rows,
                        long long length) {
    using W = typename Wide<T>::type;
    __shared__ W scratch[8][32];
    const long long column = blockIdx.x * 32LL + threadIdx.x;
    const long long first = rows * blockIdx.y / gridDim.y;
    const long long last = rows * (blockIdx.y + 1LL) / gridDim.y;
    W sum = 0;
    if (column < length)
        for (long long row = first + threadIdx.y; row < last; row += blockDim.y)
            sum += W(grad[row * length + column]) * (W(x[row * length + column]) * scales[row]);
    scratch[threadIdx.y][threadIdx.x] = sum;
    __syncthreads();
    if (threadIdx.y || column >= length) return;
    for (int other = 1; other < blockDim.y; ++other) sum += scratch[other][threadIdx.x];
    parts[blockIdx.y * length + column] = sum;
}

// The sum of the parts, a thread for each column.
template <typename T>
__global__ void __launch_bounds__(256)
rms_norm_backward_sum(const typename Wide<T>::type* __restrict__ parts,
                      T* __restrict__ of_weight, long long number, long long length) {
    using W = typename Wide<T>::type;
    for (long long column = blockIdx.x * (long long)blockDim.x + threadIdx.x; column < length;
         column += (long long)gridDim.x * blockDim.x) {
        W sum = 0;
        for (long long part = 0; part < number; ++part) sum += parts[part * length + column];
        of_weight[column] = T(sum);
    }
}
