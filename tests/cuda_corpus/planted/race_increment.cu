// Counting without an atomic: two threads add to the same old count.
extern "C" __global__ void race_increment(const int* x, int* bins, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
#ifdef DEFECT
    bins[x[i]] += 1;  // defect
#else
    atomicAdd(&bins[x[i]], 1);
#endif
}
