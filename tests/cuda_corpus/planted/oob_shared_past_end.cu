// A window of three over a tile that holds no halo on its right.
extern "C" __global__ void oob_shared_past_end(const float* x, float* y, int n) {
#ifdef DEFECT
    __shared__ float tile[65];
#else
    __shared__ float tile[66];
#endif
    __shared__ float scale[1];
    int i = blockIdx.x * 64 + threadIdx.x;
    tile[threadIdx.x] = x[i];
    if (threadIdx.x == 0) scale[0] = 0.5f;
    if (threadIdx.x < 2) tile[64 + threadIdx.x] = i + 64 < n ? x[i + 64] : 0.0f;  // defect
    __syncthreads();
    y[i] = (tile[threadIdx.x] + tile[threadIdx.x + 1] + tile[threadIdx.x + 2]) * scale[0];
}
