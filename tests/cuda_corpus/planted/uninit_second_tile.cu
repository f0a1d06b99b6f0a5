// What one block wrote to its shared memory, another does not find there.
extern "C" __global__ void uninit_second_tile(const float* x, float* y) {
    __shared__ float table[32];
    int t = threadIdx.x;
#ifdef DEFECT
    if (blockIdx.x == 0) table[t] = x[t] * x[t];
#else
    table[t] = x[t] * x[t];
#endif
    __syncthreads();
    y[blockIdx.x * 32 + t] = table[31 - t];  // defect
}
