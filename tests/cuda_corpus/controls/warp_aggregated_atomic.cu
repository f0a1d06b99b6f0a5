// One atomic per group of lanes that count in the same bin.
extern "C" __global__ void warp_aggregated_atomic(const int* x, int* bins, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    unsigned group = __match_any_sync(__activemask(), x[i]);
    if (threadIdx.x % 32 == __ffs(group) - 1) atomicAdd(&bins[x[i]], __popc(group));
}
