// Compiled for at most 64 threads per block, launched with 128.
extern "C" __global__ void __launch_bounds__(64) launch_too_many_threads(int* x) {
    x[blockIdx.x * blockDim.x + threadIdx.x] += 1;
}
