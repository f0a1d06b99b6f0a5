// A tile with a halo of one on each side, of which the right one is forgotten.
extern "C" __global__ void uninit_halo(const float* x, float* y, int n) {
    __shared__ float tile[66];
    int t = threadIdx.x, i = blockIdx.x * 64 + t;
    tile[t + 1] = i < n ? x[i] : 0.0f;
    if (t == 0) tile[0] = i > 0 ? x[i - 1] : 0.0f;
#ifndef DEFECT
    if (t == 63) tile[65] = i + 1 < n ? x[i + 1] : 0.0f;
#endif
    __syncthreads();
    if (i < n) y[i] = tile[t] - 2.0f * tile[t + 1] + tile[t + 2];  // defect
}
