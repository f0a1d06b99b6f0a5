// A histogram of 16 bins over values up to and including 1.0, which falls into bin 16.
extern "C" __global__ void oob_atomic(const float* x, int* bins, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    int bin = static_cast<int>(x[i] * 16.0f);
#ifndef DEFECT
    if (bin > 15) bin = 15;
#endif
    atomicAdd(&bins[bin], 1);  // defect
}
