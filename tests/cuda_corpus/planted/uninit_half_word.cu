// An odd number of 16-bit values, read two at a time: half of the last word was never written.
extern "C" __global__ void uninit_half_word(const short* x, int* y, int n) {
    __shared__ __align__(4) short tile[64];
    int t = threadIdx.x;
    for (int k = t; k < n; k += blockDim.x) tile[k] = x[k];
#ifndef DEFECT
    if (t == 0) tile[n] = 0;
#endif
    __syncthreads();
    if (2 * t < n) y[t] = 3 * reinterpret_cast<int*>(tile)[t];  // defect
}
