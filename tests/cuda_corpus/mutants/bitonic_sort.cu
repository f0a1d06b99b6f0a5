// Sorts 128 keys of a block with 64 threads.
extern "C" __global__ void bitonic_sort(int* keys) {
    __shared__ int key[128];
    const int t = threadIdx.x;
    int* mine = keys + blockIdx.x * 128;
    key[t] = mine[t];
    key[t + 64] = mine[t + 64];
    for (int size = 2; size <= 128; size *= 2) {
        for (int stride = size / 2; stride > 0; stride /= 2) {
            __syncthreads();  // of the step
            const int low = 2 * t - (t & (stride - 1));
            const int high = low + stride;
            const bool up = (low & size) == 0;
            if ((key[low] > key[high]) == up) {
                const int swap = key[low];
                key[low] = key[high];
                key[high] = swap;
            }
        }
    }
    __syncthreads();  // end
    mine[t] = key[t];
    mine[t + 64] = key[t + 64];
}
