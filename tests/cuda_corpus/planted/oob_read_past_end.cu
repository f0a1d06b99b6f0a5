// Differences of neighbours: the last thread has no neighbour to the right.
extern "C" __global__ void oob_read_past_end(const float* x, float* y, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
#ifdef DEFECT
    if (i < n)
#else
    if (i < n - 1)
#endif
        y[i] = x[i + 1] - x[i];  // defect
}
