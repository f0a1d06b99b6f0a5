// An asynchronous copy to shared memory of sixteen bytes each: the last has four bytes only.
#include <cuda_pipeline.h>
extern "C" __global__ void oob_async_copy(const float* x, float* y, int n) {
    __shared__ __align__(16) float tile[64];
    int t = threadIdx.x;
    for (int k = 0; k < 4; ++k) tile[4 * t + k] = 0.0f;
#ifdef DEFECT
    if (4 * t < n)
#else
    if (4 * t + 3 < n)
#endif
        __pipeline_memcpy_async(&tile[4 * t], &x[4 * t], 16);  // defect
    __pipeline_commit();
    __pipeline_wait_prior(0);
    __syncthreads();
    for (int k = 0; k < 4; ++k) y[4 * t + k] = tile[63 - 4 * t - k];
}
