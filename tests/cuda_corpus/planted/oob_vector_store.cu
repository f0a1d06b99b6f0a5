// Interleaves two arrays with stores of two; the output is odd in length, so the last is cut off.
extern "C" __global__ void oob_vector_store(const float* a, const float* b, float* out, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (2 * i >= n) return;
#ifndef DEFECT
    if (2 * i + 1 == n) {
        out[2 * i] = a[i];
        return;
    }
#endif
    reinterpret_cast<float2*>(out)[i] = make_float2(a[i], b[i]);  // defect
}
