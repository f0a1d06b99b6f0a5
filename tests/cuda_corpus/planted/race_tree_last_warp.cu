// A tree reduction that drops the barriers for its last warp, as was done before Volta.
extern "C" __global__ void race_tree_last_warp(const int* x, int* y) {
    __shared__ int part[128];
    int t = threadIdx.x;
    part[t] = x[t];
    __syncthreads();
    if (t < 64) part[t] += part[t + 64];
    __syncthreads();
    if (t < 32) {
        part[t] += part[t + 32];  // defect
        for (int half = 16; half > 0; half /= 2) {
#ifndef DEFECT
            __syncwarp();
#endif
            int other = part[t ^ half];  // defect
#ifndef DEFECT
            __syncwarp();
#endif
            part[t] += other;  // defect
        }
    }
    if (t == 0) *y = part[0];
}
