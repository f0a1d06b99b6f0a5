// Threads write bytes side by side in one word: no two touch the same byte.
extern "C" __global__ void neighbouring_bytes(const int* x, unsigned char* y) {
    __shared__ unsigned char staged[128];
    int t = threadIdx.x;
    staged[t] = static_cast<unsigned char>(x[t]);
    __syncthreads();
    y[blockIdx.x * 128 + t] = staged[127 - t];
}
