// Reads vectors of four from a shared row that is padded to 67 floats: the last vector straddles.
extern "C" __global__ void oob_vector_shared(const float* x, float* y) {
#ifdef DEFECT
    __shared__ __align__(16) float row[67];
#else
    __shared__ __align__(16) float row[68];
#endif
    int t = threadIdx.x;
    for (int j = t; j < 67; j += 17) row[j] = x[j];
#ifndef DEFECT
    if (t == 0) row[67] = 0.0f;
#endif
    __syncthreads();
    float4 v = reinterpret_cast<float4*>(row)[t];  // defect
    y[t] = t < 16 ? v.x + v.y + v.z + v.w : v.x + v.y + v.z;
}
