// Six taps are applied, five are there.
__constant__ float taps[5] = {1.0f, 4.0f, 6.0f, 4.0f, 1.0f};
extern "C" __global__ void oob_constant_table(const float* x, float* y, int n, int width) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    float sum = 0.0f;
#ifdef DEFECT
    for (int k = 0; k <= width; ++k)
#else
    for (int k = 0; k < width; ++k)
#endif
        sum += taps[k] * (i + k < n ? x[i + k] : 0.0f);  // defect
    y[i] = sum;
}
