// One piece of dynamic shared memory, first for integers, then for doubles.
extern "C" __global__ void shared_reused(const int* x, double* y) {
    extern __shared__ double memory[];
    int* whole = reinterpret_cast<int*>(memory);
    int t = threadIdx.x;
    whole[t] = x[t];
    __syncthreads();
    int other = whole[31 - t];
    __syncthreads();
    memory[t] = other / 4.0;
    __syncthreads();
    y[t] = memory[t ^ 1];
}
