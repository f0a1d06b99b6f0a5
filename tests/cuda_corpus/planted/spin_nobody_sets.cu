// Waits for a flag that nobody sets.
extern "C" __global__ void spin_nobody_sets(volatile int* flag, const int* x, int* y) {
    int i = threadIdx.x;
#ifndef DEFECT
    if (blockIdx.x == 1 && i == 0) *flag = 1;
#endif
    if (blockIdx.x == 0) {
        while (*flag == 0) {}  // defect
        y[i] = x[i];
    }
}
