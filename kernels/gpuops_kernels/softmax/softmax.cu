// softmax: exp(x - max) / sum(exp(x - max)) along an axis. float16 is computed in float32.
//
// Maximum and sum come from one pass that rescales the sum when it meets a higher maximum
// (M. Milakov, N. Gimelshein: Online normalizer calculation for softmax, 2018, algorithm 3); the
// second pass reads from the cache what it can.

#include <cuda_fp16.h>

template <typename T> struct Wide { using type = float; };
template <> struct Wide<double> { using type = double; };

__device__ inline float exponential(float x) { return expf(x); }
__device__ inline double exponential(double x) { return exp(x); }

template <typename T, int N> struct alignas(sizeof(T) * N) Pack { T item[N]; };

__device__ inline bool aligned16(const void* p) {
    return (reinterpret_cast<unsigned long long>(p) & 15) == 0;
}

// The maximum of some numbers and the sum of exp(number - maximum). nan is in the sum only.
template <typename W> struct Total {
    W highest = W(__int_as_float(0xff800000));  // -inf, for which NVRTC has no macro
    W sum = 0;

    // Equal numbers are not subtracted: of two infinities that would be nan, and a slice that
    // starts with -inf (a masked score) is to have the sum of what follows.
    __device__ static W weight(W x, W highest) {
        return x == highest ? W(1) : exponential(x - highest);
    }
    __device__ void add(W x) {
        if (x > highest) {
            sum *= weight(highest, x);
            highest = x;
        }
        sum += weight(x, highest);
    }
    __device__ void merge(W other_highest, W other_sum) {
        const W top = other_highest > highest ? other_highest : highest;
        sum = sum * weight(highest, top) + other_sum * weight(other_highest, top);
        highest = top;
    }
    __device__ void merge_warp() {
        for (int offset = 16; offset; offset /= 2) {
            const W other_highest = __shfl_xor_sync(0xffffffffu, highest, offset);
            const W other_sum = __shfl_xor_sync(0xffffffffu, sum, offset);
            merge(other_highest, other_sum);
        }
    }
    // What to multiply exp(x - highest) with. +inf among the numbers, or nothing but -inf, gives
    // nan: inf - inf.
    __device__ W scale() const { return W(1) / (sum + (highest - highest)); }
};

// The total of a row, in every thread of it. A row has one warp, or all of the block (then
// blockDim.y is 1); `scratch` holds a total per warp.
template <typename W> __device__ inline void merge_row(Total<W>& total, W (*scratch)[2]) {
    total.merge_warp();
    if (blockDim.x == 32) return;
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, warps = blockDim.x / 32;
    if (lane == 0) {
        scratch[warp][0] = total.highest;
        scratch[warp][1] = total.sum;
    }
    __syncthreads();
    total = Total<W>();
    if (lane < warps) {
        total.highest = scratch[lane][0];
        total.sum = scratch[lane][1];
    }
    total.merge_warp();
    // The next row writes to scratch: not before every warp has read it.
    __syncthreads();
}

template <typename T, int N>
__device__ inline void row_softmax(const T* x, T* out, long long length,
                                   typename Wide<T>::type (*scratch)[2]) {
    using W = typename Wide<T>::type;
    using P = Pack<T, N>;
    const long long packs = length / N;
    Total<W> total;
    for (long long i = threadIdx.x; i < packs; i += blockDim.x) {
        const P p = reinterpret_cast<const P*>(x)[i];
#pragma unroll
        for (int k = 0; k < N; ++k) total.add(W(p.item[k]));
    }
    merge_row(total, scratch);
    const W scale = total.scale();
    for (long long i = threadIdx.x; i < packs; i += blockDim.x) {
        const P p = reinterpret_cast<const P*>(x)[i];
        P o;
#pragma unroll
        for (int k = 0; k < N; ++k)
            o.item[k] = T(exponential(W(p.item[k]) - total.highest) * scale);
        reinterpret_cast<P*>(out)[i] = o;
    }
}

// x and out are (rows, length), contiguous; a block takes blockDim.y rows at a time, each with
// blockDim.x threads, a multiple of 32.
template <typename T>
__global__ void __launch_bounds__(1024)
softmax_rows(const T* __restrict__ x, T* __restrict__ out, long long rows, long long length) {
    constexpr int N = 16 / sizeof(T);
    __shared__ typename Wide<T>::type scratch[32][2];
    const bool wide = length % N == 0 && aligned16(x) && aligned16(out);
    const long long stride = (long long)gridDim.x * blockDim.y;
    for (long long row = blockIdx.x * (long long)blockDim.y + threadIdx.y; row < rows;
         row += stride) {
        const T* from = x + row * length;
        T* to = out + row * length;
        if (wide) row_softmax<T, N>(from, to, length, scratch);
        else row_softmax<T, 1>(from, to, length, scratch);
    }
}

// x and out are (outer, length, inner), contiguous, the softmax along the middle. A block of
// 32 x blockDim.y threads (32 at most) takes 32 of the outer * inner columns at a time, so that a
// warp reads neighbours, and shares the length of each among blockDim.y threads.
template <typename T>
__global__ void __launch_bounds__(1024)
softmax_columns(const T* __restrict__ x, T* __restrict__ out, long long outer, long long length,
                long long inner) {
    using W = typename Wide<T>::type;
    __shared__ W scratch[32][32][2];
    const long long columns = outer * inner;
    for (long long first = blockIdx.x * 32LL; first < columns; first += gridDim.x * 32LL) {
        const long long column = first + threadIdx.x;
        const long long mine = column < columns ? length : 0;
        const long long start = column / inner * length * inner + column % inner;
        Total<W> total;
        for (long long i = threadIdx.y; i < mine; i += blockDim.y)
            total.add(W(x[start + i * inner]));
        scratch[threadIdx.y][threadIdx.x][0] = total.highest;
        scratch[threadIdx.y][threadIdx.x][1] = total.sum;
        __syncthreads();
        for (int half = blockDim.y / 2; half; half /= 2) {
            if (threadIdx.y < half) {
                total.merge(scratch[threadIdx.y + half][threadIdx.x][0],
                            scratch[threadIdx.y + half][threadIdx.x][1]);
                scratch[threadIdx.y][threadIdx.x][0] = total.highest;
                scratch[threadIdx.y][threadIdx.x][1] = total.sum;
            }
            __syncthreads();
        }
        total.highest = scratch[0][threadIdx.x][0];
        total.sum = scratch[0][threadIdx.x][1];
        const W scale = total.scale();
        for (long long i = threadIdx.y; i < mine; i += blockDim.y)
            out[start + i * inner] =
                T(exponential(W(x[start + i * inner]) - total.highest) * scale);
        // The next columns write to scratch: not before every thread has its total.
        __syncthreads();
    }
}
