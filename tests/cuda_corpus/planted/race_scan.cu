// A scan in one buffer: a thread adds what its neighbour may have replaced already.
extern "C" __global__ void race_scan(const int* x, int* y) {
    __shared__ int sum[64];
    int t = threadIdx.x;
    sum[t] = x[t];
    __syncthreads();
    for (int step = 1; step < 64; step *= 2) {
        int left = t >= step ? sum[t - step] : 0;  // defect
#ifndef DEFECT
        __syncthreads();
#endif
        sum[t] += left;  // defect
        __syncthreads();
    }
    y[t] = sum[t];
}
