// Device functions that stay calls, one calling the other, with a pointer into each memory.
__device__ __noinline__ int weigh(const int* from, int k) { return from[k] * (k + 1); }
__device__ __noinline__ int total(const int* from, int n) {
    int sum = 0;
    for (int k = 0; k < n; ++k) sum += weigh(from, k);
    return sum;
}
extern "C" __global__ void calls_not_inlined(const int* x, int* y, int n) {
    __shared__ int staged[32];
    int own[4];
    int t = threadIdx.x;
    staged[t] = x[t];
    for (int k = 0; k < 4; ++k) own[k] = x[(t + k) % 32];
    __syncthreads();
    if (t % 3 == 0)
        y[t] = total(staged, n);
    else
        y[t] = total(x + t % 2, n) + total(own, 4);
}
