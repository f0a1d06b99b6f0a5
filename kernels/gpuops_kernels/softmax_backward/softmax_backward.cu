// softmax_backward: out * (grad - sum(grad * out)) along an axis. float16 is computed in float32.

#include <cuda_fp16.h>

template <typename T> struct Wide { using type = float; };
template <> struct Wide<double> { using type = double; };

template <typename T, int N> struct alignas(sizeof(T) * N) Pack { T item[N]; };

__device__ inline bool aligned16(const void* p) {
    return (reinterpret_cast<unsigned long long>(p) & 15) == 0;
}

// The sum of `value` over the threads of a row, in every one of them. A row has one warp, or all
// of the block (then blockDim.y is 1); `scratch` holds a value per warp.
template <typename W> __device__ inline W row_sum(W value, W* scratch) {
    for (int offset = 16; offset; offset /= 2)
        value += __shfl_xor_sync(0xffffffffu, value, offset);
    if (blockDim.x == 32) return value;
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, warps = blockDim.x / 32;
    if (lane == 0) scratch[warp] = value;
    __syncthreads();
    value = lane < warps ? scratch[lane] : W(0);
    for (int offset = 16; offset; offset /= 2)
        value += __shfl_xor_sync(0xffffffffu, value, offset);
    // The next row writes to scratch: not before every warp has read it.
    __syncthreads();
    return value;
}

// One row, `N` elements at a time; `N` divides `length`. The second reading of the row comes from
// the cache.
template <typename T, int N>
__device__ inline void row_backward(const T* grad, const T* out, T* result, long long length,
                                    typename Wide<T>::type* scratch) {
    using W = typename Wide<T>::type;
    using P = Pack<T, N>;
    const long long packs = length / N;
    W sum = 0;
    for (long long i = threadIdx.x; i < packs; i += blockDim.x) {
        const P g = reinterpret_cast<const P*>(grad)[i];
        const P y = reinterpret_cast<const P*>(out)[i];
#pragma unroll
        for (int k = 0; k < N; ++k) sum += W(g.item[k]) * W(y.item[k]);
    }
    sum = row_sum(sum, scratch);
    for (long long i = threadIdx.x; i < packs; i += blockDim.x) {
        const P g = reinterpret_cast<const P*>(grad)[i];
        const P y = reinterpret_cast<const P*>(out)[i];
        P r;
#pragma unroll
        for (int k = 0; k < N; ++k) r.item[k] = T(W(y.item[k]) * (W(g.item[k]) - sum));
        reinterpret_cast<P*>(result)[i] = r;
    }
}

// All arrays are (rows, length), contiguous; a block takes blockDim.y rows at a time, each with
// blockDim.x threads, a multiple of 32. With 1024 threads, or with 512 and no number of blocks,
// the compiler spills registers.
template <typename T>
__global__ void __launch_bounds__(512, 1)
softmax_backward_rows(const T* __restrict__ grad, const T* __restrict__ out,
                      T* __restrict__ result, long long rows, long long length) {
    constexpr int N = 16 / sizeof(T);
    __shared__ typename Wide<T>::type scratch[32];
    const bool wide = length % N == 0 && aligned16(grad) && aligned16(out) && aligned16(result);
    const long long stride = (long long)gridDim.x * blockDim.y;
    for (long long row = blockIdx.x * (long long)blockDim.y + threadIdx.y; row < rows;
         row += stride) {
        const long long at = row * length;
        if (wide) row_backward<T, N>(grad + at, out + at, result + at, length, scratch);
        else row_backward<T, 1>(grad + at, out + at, result + at, length, scratch);
    }
}

// All arrays are (outer, length, inner), contiguous, the sum along the middle. A block of
// 32 x blockDim.y threads (32 at most) takes 32 of the outer * inner columns at a time, so that a
// warp reads neighbours, and shares the length of each among blockDim.y threads.
template <typename T>
__global__ void __launch_bounds__(1024)
softmax_backward_columns(const T* __restrict__ grad, const T* __restrict__ out,
                         T* __restrict__ result, long long outer, long long length,
                         long long inner) {
    using W = typename Wide<T>::type;
    __shared__ W scratch[32][32];
    const long long columns = outer * inner;
    for (long long first = blockIdx.x * 32LL; first < columns; first += gridDim.x * 32LL) {
        const long long column = first + threadIdx.x;
        const long long mine = column < columns ? length : 0;
        const long long start = column / inner * length * inner + column % inner;
        W sum = 0;
        for (long long i = threadIdx.y; i < mine; i += blockDim.y)
            sum += W(grad[start + i * inner]) * W(out[start + i * inner]);
        scratch[threadIdx.y][threadIdx.x] = sum;
        __syncthreads();
        for (int half = blockDim.y / 2; half; half /= 2) {
            if (threadIdx.y < half)
                scratch[threadIdx.y][threadIdx.x] += scratch[threadIdx.y + half][threadIdx.x];
            __syncthreads();
        }
        sum = scratch[0][threadIdx.x];
        for (long long i = threadIdx.y; i < mine; i += blockDim.y) {
            const long long at = start + i * inner;
            result[at] = T(W(out[at]) * (W(grad[at]) - sum));
        }
        // The next columns write to scratch: not before every thread has its sum.
        __syncthreads();
    }
}
