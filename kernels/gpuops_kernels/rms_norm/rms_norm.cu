// rms_norm: x / sqrt(mean(x^2) + eps) * weight over rows. float16 is computed in float32.

#include <cuda_fp16.h>

template <typename T> struct Wide { using type = float; };
template <> struct Wide<double> { using type = double; };

__device__ inline float root(float x) { return sqrtf(x); }
__device__ inline double root(double x) { return sqrt(x); }

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
__device__ inline void norm(const T* x, const T* weight, T* out, long long length, double eps,
                            typename Wide<T>::type* scratch) {
    using W = typename Wide<T>::type;
    using P = Pack<T, N>;
    const long long packs = length / N;
    W sum = 0;
    for (long long i = threadIdx.x; i < packs; i += blockDim.x) {
        const P p = reinterpret_cast<const P*>(x)[i];
#pragma unroll
        for (int k = 0; k < N; ++k) sum += W(p.item[k]) * W(p.item[k]);
    }
    const W scale = W(1) / root(row_sum(sum, scratch) / W(length) + W(eps));
    for (long long i = threadIdx.x; i < packs; i += blockDim.x) {
        const P p = reinterpret_cast<const P*>(x)[i];
        const P w = reinterpret_cast<const P*>(weight)[i];
        P o;
#pragma unroll
        for (int k = 0; k < N; ++k) o.item[k] = T(W(p.item[k]) * scale * W(w.item[k]));
        reinterpret_cast<P*>(out)[i] = o;
    }
}

// x and out are (rows, length), contiguous; a block takes blockDim.y rows at a time, each with
// blockDim.x threads, a multiple of 32.
template <typename T>
__global__ void __launch_bounds__(1024)
rms_norm(const T* __restrict__ x, const T* __restrict__ weight, T* __restrict__ out,
         long long rows, long long length, double eps) {
    using W = typename Wide<T>::type;
    constexpr int N = 16 / sizeof(T);
    __shared__ W scratch[32];
    const bool wide = length % N == 0 && aligned16(x) && aligned16(weight) && aligned16(out);
    const long long stride = (long long)gridDim.x * blockDim.y;
    for (long long row = blockIdx.x * (long long)blockDim.y + threadIdx.y; row < rows;
         row += stride) {
        const T* from = x + row * length;
        T* to = out + row * length;
        if (wide) norm<T, N>(from, weight, to, length, eps, scratch);
        else norm<T, 1>(from, weight, to, length, eps, scratch);
    }
}
