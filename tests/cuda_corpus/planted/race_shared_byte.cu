// Two threads pack four bits each into the same byte: read, change, write.
extern "C" __global__ void race_shared_byte(const unsigned char* x, unsigned char* y) {
    __shared__ unsigned char packed[32];
    int t = threadIdx.x;
    if (t < 32) packed[t] = 0;
    __syncthreads();
#ifdef DEFECT
    packed[t / 2] |= static_cast<unsigned char>(x[t] << (4 * (t % 2)));  // defect
#else
    if (t % 2 == 0) packed[t / 2] = static_cast<unsigned char>(x[t] | (x[t + 1] << 4));
#endif
    __syncthreads();
    if (t < 32) y[t] = packed[t];
}
