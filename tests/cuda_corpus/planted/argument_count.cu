// Takes three arguments: a launch that leaves out the length does not fit.
extern "C" __global__ void argument_count(const float* x, float* y, int n) {
    int i = threadIdx.x;
    if (i < n) y[i] = x[i];
}
