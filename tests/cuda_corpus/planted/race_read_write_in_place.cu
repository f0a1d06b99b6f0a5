// A stencil in place: the neighbour may be old or new already.
extern "C" __global__ void race_read_write_in_place(const float* x, float* y, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i == 0 || i >= n - 1) return;
#ifdef DEFECT
    y[i] = 0.5f * (y[i - 1] + y[i + 1]);  // defect
#else
    y[i] = 0.5f * (x[i - 1] + x[i + 1]);
#endif
}
