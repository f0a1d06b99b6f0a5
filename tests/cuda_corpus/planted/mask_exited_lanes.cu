// The threads behind the end leave, and the shuffle of the others names them still.
extern "C" __global__ void mask_exited_lanes(const float* x, float* sum, int n) {
    int t = threadIdx.x;
#ifdef DEFECT
    if (t >= n) return;
    float value = x[t];
#else
    float value = t < n ? x[t] : 0.0f;
#endif
    for (int step = 16; step > 0; step /= 2)
        value += __shfl_down_sync(0xffffffffu, value, step);  // defect
    if (t == 0) *sum = value;
}
