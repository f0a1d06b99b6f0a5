// Keeps the positive numbers of each block in their order: ballots give every thread its place.
extern "C" __global__ void compact(const int* x, int* kept, int* count, int n) {
    __shared__ int before[4];
    const int t = threadIdx.x, lane = t % 32, warp = t / 32;
    const int i = blockIdx.x * 128 + t;
    const int value = i < n ? x[i] : 0;
    const unsigned votes = __ballot_sync(0xffffffffu, value > 0);
    if (lane == 0) before[warp] = __popc(votes);
    __syncthreads();
    int place = __popc(votes & ((1u << lane) - 1));
    for (int w = 0; w < warp; ++w) place += before[w];
    if (value > 0) kept[blockIdx.x * 128 + place] = value;
    if (t == 127) count[blockIdx.x] = place + (value > 0);
}
