// Shifts an array to the left; the first element has nowhere to go.
extern "C" __global__ void oob_write_before_start(const int* x, int* y, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
#ifndef DEFECT
    if (i == 0) return;
#endif
    if (i < n) y[i - 1] = x[i];  // defect
}
