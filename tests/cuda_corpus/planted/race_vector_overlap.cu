// Every thread stores four floats, and then one too many: the first of its neighbour's.
extern "C" __global__ void race_vector_overlap(const float4* x, float* y) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    reinterpret_cast<float4*>(y)[i] = x[i];  // defect
#ifdef DEFECT
    y[4 * i + 4] = -1.0f;  // defect
#endif
}
