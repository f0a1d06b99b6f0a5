// Rounds with a vote of the block at their end, until no thread changes anything: a bubble sort.
extern "C" __global__ void loop_until_agreed(int* x) {
    __shared__ int value[64];
    int t = threadIdx.x;
    value[t] = x[t];
    value[t + 32] = x[t + 32];
    __syncthreads();
    int changed = 1;
    while (changed) {
        changed = 0;
        for (int odd = 0; odd < 2; ++odd) {
            int left = 2 * t + odd;
            if (left + 1 < 64 && value[left] > value[left + 1]) {
                int swap = value[left];
                value[left] = value[left + 1];
                value[left + 1] = swap;
                changed = 1;
            }
            __syncthreads();
        }
        changed = __syncthreads_or(changed);
    }
    x[t] = value[t];
    x[t + 32] = value[t + 32];
}
