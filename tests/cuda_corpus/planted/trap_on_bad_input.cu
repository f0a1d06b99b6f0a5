// Gives up on a value it does not expect.
extern "C" __global__ void trap_on_bad_input(const int* x, int* y) {
    int i = threadIdx.x;
#ifdef DEFECT
    if (x[i] < 0) __trap();  // defect
#endif
    y[i] = x[i] < 0 ? 0 : 2 * x[i];
}
