// uniform: words to numbers from [0, 1), by integer shifts and products that are exact.

#include <cuda_fp16.h>

#include "../_include/philox.cuh"

template <typename T> struct Uniform;

template <> struct Uniform<float> {
    static constexpr int N = 4;
    __device__ static Pack<float, N> make(const unsigned int (&w)[4]) {
        Pack<float, N> out;
#pragma unroll
        for (int k = 0; k < N; ++k) out.item[k] = float(w[k] >> 8) * 0x1p-24f;
        return out;
    }
};

template <> struct Uniform<__half> {
    static constexpr int N = 4;
    __device__ static Pack<__half, N> make(const unsigned int (&w)[4]) {
        Pack<__half, N> out;
#pragma unroll
        for (int k = 0; k < N; ++k) out.item[k] = __float2half_rn(float(w[k] >> 21) * 0x1p-11f);
        return out;
    }
};

template <> struct Uniform<double> {
    static constexpr int N = 2;
    __device__ static Pack<double, N> make(const unsigned int (&w)[4]) {
        Pack<double, N> out;
#pragma unroll
        for (int k = 0; k < N; ++k) {
            const double high = double(w[2 * k] >> 5), low = double(w[2 * k + 1] >> 6);
            out.item[k] = (high * 0x1p26 + low) * 0x1p-53;
        }
        return out;
    }
};

template <typename T>
__global__ void __launch_bounds__(256)
uniform(T* __restrict__ out, long long count, const unsigned int* __restrict__ key,
        const unsigned long long* __restrict__ first) {
    constexpr int N = Uniform<T>::N;
    for_each_block<N>(count, key, first, [=](const unsigned int (&w)[4], long long b, int n) {
        store<N>(out, b, n, Uniform<T>::make(w));
    });
}
