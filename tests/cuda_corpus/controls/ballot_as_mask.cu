// The lanes that have work agree on a mask first, and shuffle among themselves.
extern "C" __global__ void ballot_as_mask(const int* x, int* y, int n) {
    int t = threadIdx.x;
    unsigned mask = __ballot_sync(0xffffffffu, t < n);
    if (t >= n) return;
    int value = x[t];
    int first = __shfl_sync(mask, value, __ffs(mask) - 1);
    __syncwarp(mask);
    y[t] = value - first;
}
