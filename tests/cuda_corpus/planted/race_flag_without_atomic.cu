// One block counts up, the other writes the same plain counter.
extern "C" __global__ void race_flag_without_atomic(int* done, const int* x, int* y) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    y[i] = x[i] + 1;
    __syncthreads();
    if (threadIdx.x == 0) {
#ifdef DEFECT
        *done = *done + 1;  // defect
#else
        atomicAdd(done, 1);
#endif
    }
}
