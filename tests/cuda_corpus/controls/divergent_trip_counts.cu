// Every thread makes its own number of rounds; all meet again for a barrier and for a shuffle.
extern "C" __global__ void divergent_trip_counts(const int* x, int* steps, int* most) {
    __shared__ int tile[64];
    int t = threadIdx.x, value = x[t], count = 0;
    while (value != 1) {
        value = value % 2 ? 3 * value + 1 : value / 2;
        ++count;
        if (count > 200) break;
    }
    tile[t] = count;
    __syncthreads();
    steps[t] = tile[63 - t];
    for (int step = 16; step > 0; step /= 2)
        count = max(count, __shfl_xor_sync(0xffffffffu, count, step));
    if (t % 32 == 0) most[t / 32] = count;
}
