// dropout_apply: elements whose word is below the threshold become 0, the others are scaled.

#include <cuda_fp16.h>

#include "../_include/philox.cuh"

template <typename T> struct Wide { using type = float; };
template <> struct Wide<double> { using type = double; };

// x may begin anywhere in its memory: only if it is aligned are four elements taken at a time.
template <typename T>
__global__ void __launch_bounds__(256)
dropout_apply(const T* __restrict__ x, T* __restrict__ out, long long count,
              const unsigned int* __restrict__ key, const unsigned long long* __restrict__ first,
              unsigned long long threshold, double scale) {
    using W = typename Wide<T>::type;
    using P = Pack<T, 4>;
    const W factor = W(scale);
    const bool wide = (reinterpret_cast<unsigned long long>(x) & (sizeof(P) - 1)) == 0;
    for_each_block<4>(count, key, first, [=](const unsigned int (&w)[4], long long b, int n) {
        P values, results;
        if (wide && n == 4) values = reinterpret_cast<const P*>(x)[b];
#pragma unroll
        for (int k = 0; k < 4; ++k) {
            if (!(wide && n == 4) && k < n) values.item[k] = x[b * 4 + k];
            // Not a product with 0: what is dropped may be inf or nan.
            const bool kept = k < n && w[k] >= threshold;
            results.item[k] = kept ? T(W(values.item[k]) * factor) : T(0);
        }
        store<4>(out, b, n, results);
    });
}
