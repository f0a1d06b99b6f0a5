// Normalises into its input, which the caller has declared read-only.
extern "C" __global__ void read_only_written(float* x, float* y, int n) {
    int i = threadIdx.x;
    if (i >= n) return;
#ifdef DEFECT
    x[i] *= 0.5f;  // defect
    y[i] = x[i];
#else
    y[i] = 0.5f * x[i];
#endif
}
