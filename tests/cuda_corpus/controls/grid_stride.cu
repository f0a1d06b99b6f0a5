// Few blocks, many elements; the index is unsigned and steps over the end.
extern "C" __global__ void grid_stride(const float* x, float* y, unsigned n) {
    for (unsigned i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x)
        y[i] = x[i] + static_cast<float>(i);
}
