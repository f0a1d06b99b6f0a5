// The second warp of a block waits for a flag in shared memory that the first one sets.
extern "C" __global__ void flag_between_warps(const int* x, int* y) {
    __shared__ volatile int ready;
    __shared__ volatile int value;
    if (threadIdx.x == 0) ready = 0;
    __syncthreads();
    if (threadIdx.x == 32) {
        value = x[0] * 2;
        __threadfence_block();
        ready = 1;
    } else if (threadIdx.x == 0) {
        while (ready == 0) {}
        __threadfence_block();
        y[0] = value;
    }
}
