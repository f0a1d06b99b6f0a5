// One lane reserves room for all that have something to store, and tells the others where.
extern "C" __global__ void leader_allocates(const int* x, int* kept, int* count, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x, lane = threadIdx.x % 32;
    bool keep = i < n && x[i] > 50;
    unsigned votes = __ballot_sync(0xffffffffu, keep);
    int start = 0;
    if (lane == 0 && votes) start = atomicAdd(count, __popc(votes));
    start = __shfl_sync(0xffffffffu, start, 0);
    if (keep) kept[start + __popc(votes & ((1u << lane) - 1))] = 1;
}
