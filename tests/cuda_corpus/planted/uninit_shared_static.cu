// A sum over a block; threads behind the end have to contribute nothing, not leave their slot as it is.
extern "C" __global__ void uninit_shared_static(const float* x, float* sum, int n) {
    __shared__ float part[64];
    int t = threadIdx.x;
#ifdef DEFECT
    if (t < n) part[t] = x[t];
#else
    part[t] = t < n ? x[t] : 0.0f;
#endif
    __syncthreads();
    for (int half = 32; half > 0; half /= 2) {
        if (t < half) part[t] += part[t + half];  // defect
        __syncthreads();
    }
    if (t == 0) *sum = part[0];
}
