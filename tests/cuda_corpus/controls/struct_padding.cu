// Structures with a hole between their members, copied whole through shared and local memory.
struct Sample {
    char tag;
    double value;
    short weight;
};
extern "C" __global__ void struct_padding(const int* x, double* y, const int* pick) {
    __shared__ Sample staged[32];
    int t = threadIdx.x;
    Sample mine;
    mine.tag = static_cast<char>(x[t]);
    mine.value = 0.5 * x[t];
    mine.weight = 3;
    staged[t] = mine;
    __syncthreads();
    Sample pair[2] = {staged[31 - t], staged[t]};
    Sample chosen = pair[pick[t]];
    y[t] = chosen.tag + chosen.value * chosen.weight;
}
