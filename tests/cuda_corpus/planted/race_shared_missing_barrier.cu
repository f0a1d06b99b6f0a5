// Reverses 64 values through shared memory; two warps, so that the order is not given.
extern "C" __global__ void race_shared_missing_barrier(const int* x, int* y) {
    __shared__ int tile[64];
    int t = threadIdx.x;
    tile[t] = x[t];  // defect
#ifndef DEFECT
    __syncthreads();
#endif
    y[t] = tile[63 - t];  // defect
}
