// The launch gives too little dynamic shared memory: bytes for half of the values.
extern "C" __global__ void oob_dynamic_shared(const float* x, float* y) {
    extern __shared__ float staged[];
    int t = threadIdx.x;
    staged[t] = x[t];  // defect
    __syncthreads();
    y[t] = staged[blockDim.x - 1 - t];
}
