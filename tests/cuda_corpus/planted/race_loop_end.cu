// Two barriers a round are needed: without the second, the next round writes into what is still read.
extern "C" __global__ void race_loop_end(const float* x, float* y, int rounds) {
    __shared__ float tile[64];
    int t = threadIdx.x;
    float sum = 0.0f;
    for (int r = 0; r < rounds; ++r) {
        tile[t] = x[64 * r + t];  // defect
        __syncthreads();
        sum += tile[63 - t] * tile[t];  // defect
#ifndef DEFECT
        __syncthreads();
#endif
    }
    y[t] = sum;
}
