// The grid is rounded up to whole blocks, so the threads behind the end have to be stopped.
extern "C" __global__ void oob_write_past_end(float* y, float value, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
#ifndef DEFECT
    if (i >= n) return;
#endif
    y[i] = value * i;  // defect
}
