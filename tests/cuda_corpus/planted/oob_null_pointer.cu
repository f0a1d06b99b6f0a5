// The bias is optional: a null pointer stands for none.
extern "C" __global__ void oob_null_pointer(const float* x, const float* bias, float* y, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    float value = 2.0f * x[i];
#ifndef DEFECT
    if (bias != nullptr)
#endif
        value += bias[i];  // defect
    y[i] = value;
}
