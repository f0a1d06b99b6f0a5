// One thread waits for the other block's data, and the others of its block do not wait for it.
extern "C" __global__ void race_wait_by_one_thread(const int* x, int* data, int* ready, int* y) {
    int t = threadIdx.x;
    if (blockIdx.x == 1) {
        data[t] = 3 * x[t];  // defect
        __threadfence();
        __syncthreads();
        if (t == 0) atomicExch(ready, 1);
    } else {
        if (t == 0)
            while (atomicAdd(ready, 0) == 0) {}
#ifndef DEFECT
        __syncthreads();
#endif
        y[t] = data[63 - t] + 1;  // defect
    }
}
