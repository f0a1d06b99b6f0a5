// Launched with no blocks: nothing runs, whatever the pointers are.
extern "C" __global__ void zero_size_grid(float* x) { x[1000000] = 1.0f; }
