// Both sides of a condition can be computed, but only one may be loaded.
extern "C" __global__ void read_past_branch(const int* x, const int* index, int* y, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    int k = index[i];
    y[i] = k >= 0 && k < n ? x[k] : -1;
}
