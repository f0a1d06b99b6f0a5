// Rows of 33 floats avoid bank conflicts, but a pair then starts at an odd float in odd rows.
extern "C" __global__ void misaligned_vector_shared(const float* x, float* y) {
#ifdef DEFECT
    const int step = 33;
#else
    const int step = 34;
#endif
    __shared__ __align__(16) float rows[4 * 34];
    int lane = threadIdx.x, row = threadIdx.y;
    rows[row * step + lane] = x[row * 32 + lane];
    __syncthreads();
    if (lane < 16) {
        float2 pair = *reinterpret_cast<float2*>(&rows[row * step + 2 * lane]);  // defect
        y[row * 16 + lane] = pair.x * pair.y;
    }
}
