// A three-point average whose border is handled on the right only.
extern "C" __global__ void oob_read_before_start(const float* x, float* y, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    float right = i + 1 < n ? x[i + 1] : 0.0f;
#ifdef DEFECT
    float left = x[i - 1];  // defect
#else
    float left = i > 0 ? x[i - 1] : 0.0f;
#endif
    y[i] = (left + x[i] + right) / 3.0f;
}
