// Two inputs that share elements, and an output next to them in the same array.
extern "C" __global__ void overlapping_views(const int* a, const int* b, int* sum, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) sum[i] = a[i] + b[i];
}
