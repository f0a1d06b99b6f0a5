// One block waits for another within the resident ones; data, fence, flag on one side, flag, fence,
// data on the other.
extern "C" __global__ void spin_producer_consumer(const int* x, int* data, int* ready, int* y) {
    int t = threadIdx.x;
    if (blockIdx.x == 1) {
        data[t] = 3 * x[t];
        __threadfence();
        __syncthreads();
        if (t == 0) atomicExch(ready, 1);
    } else {
        if (t == 0)
            while (atomicAdd(ready, 0) == 0) {}
        __syncthreads();
        __threadfence();
        y[t] = data[31 - t] + 1;
    }
}
