// The next asynchronous copy goes into the tile that other threads are still reading.
#include <cuda_pipeline.h>
extern "C" __global__ void race_async_overwrites(const float* x, float* y, int rounds) {
    __shared__ __align__(16) float tile[256];
    int t = threadIdx.x;
    float sum = 0.0f;
    for (int r = 0; r < rounds; ++r) {
        __pipeline_memcpy_async(&tile[4 * t], &x[256 * r + 4 * t], 16);  // defect
        __pipeline_commit();
        __pipeline_wait_prior(0);
        __syncthreads();
        sum += tile[255 - t];  // defect
#ifndef DEFECT
        __syncthreads();
#endif
    }
    y[t] = sum;
}
