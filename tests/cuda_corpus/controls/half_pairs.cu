// Pairs of halves, with the odd one at the end by itself.
#include <cuda_fp16.h>
extern "C" __global__ void half_pairs(const __half* x, __half* y, int n) {
    int i = 2 * (blockIdx.x * blockDim.x + threadIdx.x);
    if (i + 1 < n)
        reinterpret_cast<__half2*>(y)[i / 2] =
            __hfma2(reinterpret_cast<const __half2*>(x)[i / 2], __float2half2_rn(2.0f),
                    __float2half2_rn(1.0f));
    else if (i < n)
        y[i] = __hfma(x[i], __float2half(2.0f), __float2half(1.0f));
}
