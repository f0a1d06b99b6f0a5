// Stores four floats at once and reads one of another thread's without a barrier in between.
extern "C" __global__ void race_vector_shared(const float4* x, float* y) {
    __shared__ float4 staged[64];
    int t = threadIdx.x;
    staged[t] = x[t];  // defect
#ifndef DEFECT
    __syncthreads();
#endif
    const float* flat = reinterpret_cast<const float*>(staged);
    y[t] = flat[255 - 4 * t];  // defect
}
