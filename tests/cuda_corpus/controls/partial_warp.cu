// A block of 40 threads: the second warp has eight, and masks name all thirty-two.
extern "C" __global__ void partial_warp(const int* x, unsigned* y) {
    int t = threadIdx.x;
    unsigned odd = __ballot_sync(0xffffffffu, x[t] % 2);
    int value = x[t];
    for (int step = 4; step > 0; step /= 2) value += __shfl_xor_sync(0xffffffffu, value, step, 8);
    y[t] = __popc(odd) * 1000 + value;
}
