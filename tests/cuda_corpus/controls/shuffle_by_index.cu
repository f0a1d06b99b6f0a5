// A shuffle from a computed lane, in segments of sixteen, with sources that wrap around.
extern "C" __global__ void shuffle_by_index(const double* x, double* y) {
    int t = threadIdx.x;
    y[t] = __shfl_sync(0xffffffffu, x[t], t * 5 + 3, 16);
}
