// A hash table: in C the remainder of a negative number is negative.
extern "C" __global__ void oob_negative_modulo(const int* keys, int* used, int n, int slots) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
#ifdef DEFECT
    int slot = keys[i] % slots;
#else
    int slot = static_cast<int>(static_cast<unsigned>(keys[i]) % static_cast<unsigned>(slots));
#endif
    atomicExch(&used[slot], 1);  // defect
}
