// silu_mul: gate / (1 + exp(-gate)) * up, elementwise. float16 is computed in float32.

#include <cuda_fp16.h>

template <typename T> struct Wide { using type = float; };
template <> struct Wide<double> { using type = double; };

__device__ inline float exponential(float x) { return expf(x); }
__device__ inline double exponential(double x) { return exp(x); }

template <typename T> __device__ inline T apply(T gate, T up) {
    using W = typename Wide<T>::type;
    const W g = W(gate);
    // Where exp overflows the quotient is 0, which is right.
    return T(g / (W(1) + exponential(-g)) * W(up));
}

template <typename T, int N> struct alignas(sizeof(T) * N) Pack { T item[N]; };

__device__ inline bool aligned16(const void* p) {
    return (reinterpret_cast<unsigned long long>(p) & 15) == 0;
}

// Every thread takes 16 bytes of each input at a time, and strides over the grid. All arrays
// contiguous, `count` elements. Five blocks to a multiprocessor: for the eight that fit by their
// threads, registers would be spilled.
template <typename T>
__global__ void __launch_bounds__(256, 5)
silu_mul(const T* __restrict__ gate, const T* __restrict__ up, T* __restrict__ out,
         long long count) {
    constexpr int N = 16 / sizeof(T);
    using P = Pack<T, N>;
    const long long first = blockIdx.x * (long long)blockDim.x + threadIdx.x;
    const long long stride = (long long)gridDim.x * blockDim.x;
    // A view may begin anywhere in its memory: only then is nothing taken 16 bytes at a time.
    const bool wide = aligned16(gate) && aligned16(up) && aligned16(out);
    const long long packs = wide ? count / N : 0;
    for (long long i = first; i < packs; i += stride) {
        const P g = reinterpret_cast<const P*>(gate)[i];
        const P u = reinterpret_cast<const P*>(up)[i];
        P o;
#pragma unroll
        for (int k = 0; k < N; ++k) o.item[k] = apply(g.item[k], u.item[k]);
        reinterpret_cast<P*>(out)[i] = o;
    }
    for (long long i = packs * N + first; i < count; i += stride) out[i] = apply(gate[i], up[i]);
}
