// Vectors of four from the second element on: not at a multiple of sixteen bytes.
extern "C" __global__ void misaligned_vector_global(const float* x, float4* y, int n) {
    int i = threadIdx.x;
    if (4 * i + 4 >= n) return;
#ifdef DEFECT
    y[i] = *reinterpret_cast<const float4*>(x + 1 + 4 * i);  // defect
#else
    y[i] = make_float4(x[1 + 4 * i], x[2 + 4 * i], x[3 + 4 * i], x[4 + 4 * i]);
#endif
}
