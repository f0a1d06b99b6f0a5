// The first and the last block of a grid that does not fit the device at once write the same place.
extern "C" __global__ void race_across_waves(int* y, int n) {
    int b = blockIdx.x;
    if (threadIdx.x != 0) return;
#ifdef DEFECT
    if (b == 0 || b == n - 1) y[0] = b + 1;  // defect
#else
    if (b == 0 || b == n - 1) y[b == 0] = b + 1;
#endif
}
