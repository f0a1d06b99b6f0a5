// The last block to count reads what the others left; without a fence before their count, it may
// not be there yet.
extern "C" __global__ void race_missing_fence(const int* x, int* part, int* done, int* sum) {
    if (threadIdx.x != 0) return;
    part[blockIdx.x] = 2 * x[blockIdx.x];  // defect
#ifndef DEFECT
    __threadfence();
#endif
    if (atomicAdd(done, 1) == static_cast<int>(gridDim.x) - 1) {
#ifndef DEFECT
        __threadfence();
#endif
        int total = 0;
        for (int b = 0; b < static_cast<int>(gridDim.x); ++b) total += part[b];  // defect
        *sum = total;
    }
}
