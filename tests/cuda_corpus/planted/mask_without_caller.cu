// The mask of the lower half, used by the upper half too.
extern "C" __global__ void mask_without_caller(const int* x, int* y) {
    int lane = threadIdx.x;
    int value = x[lane];
#ifdef DEFECT
    unsigned mask = 0x0000ffffu;
#else
    unsigned mask = lane < 16 ? 0x0000ffffu : 0xffff0000u;
#endif
    for (int step = 8; step > 0; step /= 2)
        value += __shfl_xor_sync(mask, value, step, 16);  // defect
    y[lane] = value;
}
