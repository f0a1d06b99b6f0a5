// Counts digits in an array of its own per thread; a value may be 8, and then the array is too short.
extern "C" __global__ void oob_local_array(const int* x, int* most, int per_thread) {
#ifdef DEFECT
    int count[8];
    for (int k = 0; k < 8; ++k) count[k] = 0;
#else
    int count[9];
    for (int k = 0; k < 9; ++k) count[k] = 0;
#endif
    for (int j = 0; j < per_thread; ++j)
        count[x[threadIdx.x * per_thread + j]] += 1;  // defect
    int top = 0;
    for (int k = 1; k < 8; ++k)
        if (count[k] > count[top]) top = k;
    most[threadIdx.x] = top;
}
