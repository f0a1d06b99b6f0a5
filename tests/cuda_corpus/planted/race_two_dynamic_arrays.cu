// Two arrays in dynamic shared memory begin at the same byte, whatever their names say.
extern "C" __global__ void race_two_dynamic_arrays(const int* x, float* y) {
    extern __shared__ int whole[];
    extern __shared__ float parts[];
    int t = threadIdx.x;
#ifdef DEFECT
    float* other = parts;
#else
    float* other = parts + blockDim.x;
#endif
    whole[t] = x[t];  // defect
    other[(t + 32) % 64] = 0.25f * x[t];  // defect
    __syncthreads();
    y[t] = whole[t] + other[t];
}
