// Arrays and structures of a thread's own, copied whole, indexed at run time, passed by value.
struct Window {
    int values[6];
    short count;
};
__device__ __noinline__ int newest(Window w) { return w.values[w.count - 1]; }
extern "C" __global__ void local_copies(const int* x, const int* length, int* y) {
    Window window;
    window.count = 0;
    for (int k = 0; k < length[threadIdx.x]; ++k) window.values[window.count++] = x[threadIdx.x + k];
    Window other = window;
    int first[6];
    memcpy(first, other.values, sizeof(int) * other.count);
    y[threadIdx.x] = newest(other) - first[other.count / 2];
}
