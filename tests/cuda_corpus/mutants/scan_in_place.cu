// Exclusive prefix sums of 128 by Blelloch: up the tree, then down.
extern "C" __global__ void scan_in_place(const int* x, int* y) {
    __shared__ int tree[128];
    const int t = threadIdx.x;
    tree[2 * t] = x[2 * t];
    tree[2 * t + 1] = x[2 * t + 1];
    int offset = 1;
    for (int active = 64; active > 0; active /= 2) {
        __syncthreads();  // up
        if (t < active) {
            int a = offset * (2 * t + 1) - 1, b = offset * (2 * t + 2) - 1;
            tree[b] += tree[a];
        }
        offset *= 2;
    }
    if (t == 0) tree[127] = 0;
    for (int active = 1; active < 128; active *= 2) {
        offset /= 2;
        __syncthreads();  // down
        if (t < active) {
            int c = offset * (2 * t + 1) - 1, d = offset * (2 * t + 2) - 1;
            int kept = tree[c];
            tree[c] = tree[d];
            tree[d] += kept;
        }
    }
    __syncthreads();  // end
    y[2 * t] = tree[2 * t];
    y[2 * t + 1] = tree[2 * t + 1];
}
