// The lower half takes part, but asks for a value of a lane in the upper half.
extern "C" __global__ void mask_reads_outside(const int* x, int* y) {
    int lane = threadIdx.x;
    int value = x[lane];
    if (lane < 16) {
#ifdef DEFECT
        int from = 31 - lane;
#else
        int from = 15 - lane;
#endif
        value = __shfl_sync(0x0000ffffu, value, from);  // defect
    }
    y[lane] = value;
}
