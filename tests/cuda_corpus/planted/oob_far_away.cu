// A gather in which an index of 0x7fffffff says "nothing here".
extern "C" __global__ void oob_far_away(const float* x, const int* index, float* y, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    int from = index[i];
#ifndef DEFECT
    if (from == 0x7fffffff) {
        y[i] = 0.0f;
        return;
    }
#endif
    y[i] = x[from];  // defect
}
