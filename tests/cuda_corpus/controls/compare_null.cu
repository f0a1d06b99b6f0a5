// An optional output: a null pointer is compared and passed on, not followed.
__device__ void put(float* to, int i, float value) {
    if (to) to[i] = value;
}
extern "C" __global__ void compare_null(const float* x, float* twice, float* half, int n) {
    int i = threadIdx.x;
    if (i >= n) return;
    put(twice, i, 2.0f * x[i]);
    put(half, i, 0.5f * x[i]);
}
