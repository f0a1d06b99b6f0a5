// The threads of a block exchange values through global memory without a barrier.
extern "C" __global__ void race_global_within_block(const int* x, int* scratch, int* y) {
    int t = threadIdx.x;
    scratch[t] = 3 * x[t];  // defect
#ifndef DEFECT
    __syncthreads();
#endif
    y[t] = scratch[(t + 32) % blockDim.x];  // defect
}
