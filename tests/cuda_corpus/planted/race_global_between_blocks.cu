// The second block reads what the first writes in the same launch: nothing waits.
extern "C" __global__ void race_global_between_blocks(const float* x, float* y, float* z) {
    int i = blockIdx.x * blockDim.x + threadIdx.x, n = gridDim.x * blockDim.x;
    y[i] = 2.0f * x[i];  // defect
#ifdef DEFECT
    z[i] = y[n - 1 - i];  // defect
#else
    z[i] = 2.0f * x[n - 1 - i];
#endif
}
