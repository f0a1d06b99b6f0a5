// Reads a tile whose asynchronous copy was started, but not waited for.
#include <cuda_pipeline.h>
extern "C" __global__ void race_async_copy(const float* x, float* y) {
    __shared__ __align__(16) float tile[256];
    int t = threadIdx.x;
    __pipeline_memcpy_async(&tile[4 * t], &x[4 * t], 16);  // defect
    __pipeline_commit();
#ifndef DEFECT
    __pipeline_wait_prior(0);
#endif
    __syncthreads();
    y[t] = tile[4 * (63 - t)];  // defect
}
