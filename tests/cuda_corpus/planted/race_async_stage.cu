// Two stages in flight; the wait leaves both unfinished where it may leave one.
#include <cuda_pipeline.h>
#ifdef DEFECT
#define IN_FLIGHT 2
#else
#define IN_FLIGHT 1
#endif
extern "C" __global__ void race_async_stage(const float* x, float* y, int rounds) {
    __shared__ __align__(16) float tile[2][128];
    int t = threadIdx.x;
    float sum = 0.0f;
    __pipeline_memcpy_async(&tile[0][4 * t], &x[4 * t], 16);  // defect
    __pipeline_commit();
    for (int r = 0; r < rounds; ++r) {
        if (r + 1 < rounds)
            __pipeline_memcpy_async(&tile[(r + 1) % 2][4 * t], &x[128 * (r + 1) + 4 * t], 16);  // defect
        __pipeline_commit();
        __pipeline_wait_prior(IN_FLIGHT);
        __syncthreads();
        for (int k = 0; k < 4; ++k) sum += tile[r % 2][127 - (4 * t + k)];  // defect
        __syncthreads();
    }
    y[t] = sum;
}
