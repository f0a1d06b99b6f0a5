// Many threads write the same 1 to the same place in the same statement.
extern "C" __global__ void same_value_writes(const int* x, int* any, int limit) {
    __shared__ int found;
    if (threadIdx.x == 0) found = 0;
    __syncthreads();
    if (x[threadIdx.x] > limit) found = 1;
    __syncthreads();
    if (threadIdx.x == 0) *any = found;
}
