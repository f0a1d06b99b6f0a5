// silu_mul_backward: with s = 1 / (1 + exp(-gate)), grad * up * s * (1 + gate * (1 - s)) and
// grad * gate * s, elementwise. float16 is computed in float32.

#include <cuda_fp16.h>

template <typename T> struct Wide { using type = float; };
template <> struct Wide<double> { using type = double; };

__device__ inline float exponential(float x) { return expf(x); }
__device__ inline double exponential(double x) { return exp(x); }

template <typename T>
__device__ inline void apply(T grad, T gate, T up, T& of_gate, T& of_up) {
    using W = typename Wide<T>::type;
    const W g = W(grad), x = W(gate);
    // Where exp overflows the quotient is 0, which is right.
    const W share = W(1) / (W(1) + exponential(-x));
    of_gate = T(g * W(up) * (share * (W(1) + x * (W(1) - share))));
    of_up = T(g * (x * share));
}

template <typename T, int N> struct alignas(sizeof(T) * N) Pack { T item[N]; };

__device__ inline bool aligned16(const void* p) {
    return (reinterpret_cast<unsigned long long>(p) & 15) == 0;
}

// Every thread takes 16 bytes of each input at a time, and strides over the grid. All arrays
// contiguous, `count` elements. Four blocks to a multiprocessor leave 64 registers to a thread.
template <typename T>
__global__ void __launch_bounds__(256, 4)
silu_mul_backward(const T* __restrict__ grad, const T* __restrict__ gate,
                  const T* __restrict__ up, T* __restrict__ of_gate, T* __restrict__ of_up,
                  long long count) {
    constexpr int N = 16 / sizeof(T);
    using P = Pack<T, N>;
    const long long first = blockIdx.x * (long long)blockDim.x + threadIdx.x;
    const long long stride = (long long)gridDim.x * blockDim.x;
    // A view may begin anywhere in its memory: only then is nothing taken 16 bytes at a time.
    const bool wide = aligned16(grad) && aligned16(gate) && aligned16(up) && aligned16(of_gate) &&
                      aligned16(of_up);
    const long long packs = wide ? count / N : 0;
    for (long long i = first; i < packs; i += stride) {
        const P g = reinterpret_cast<const P*>(grad)[i];
        const P x = reinterpret_cast<const P*>(gate)[i];
        const P u = reinterpret_cast<const P*>(up)[i];
        P a, b;
#pragma unroll
        for (int k = 0; k < N; ++k) apply(g.item[k], x.item[k], u.item[k], a.item[k], b.item[k]);
        reinterpret_cast<P*>(of_gate)[i] = a;
        reinterpret_cast<P*>(of_up)[i] = b;
    }
    for (long long i = packs * N + first; i < count; i += stride)
        apply(grad[i], gate[i], up[i], of_gate[i], of_up[i]);
}
