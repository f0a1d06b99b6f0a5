// Vectors of four over a length that is not a multiple of four: the last one straddles the end.
extern "C" __global__ void oob_vector_load(const float* x, float* sums, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
#ifdef DEFECT
    if (4 * i < n) {
#else
    if (4 * i + 3 < n) {
#endif
        float4 v = reinterpret_cast<const float4*>(x)[i];  // defect
        sums[i] = v.x + v.y + v.z + v.w;
    } else if (4 * i < n) {
        float sum = 0.0f;
        for (int j = 4 * i; j < n; ++j) sum += x[j];
        sums[i] = sum;
    }
}
