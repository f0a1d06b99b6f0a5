// y = s * x + y, four at a time; a remainder one by one.
extern "C" __global__ void saxpy(float s, const float* x, float* y, int n) {
    const int packs = n / 4;
    const int stride = gridDim.x * blockDim.x;
    const int first = blockIdx.x * blockDim.x + threadIdx.x;
    for (int i = first; i < packs; i += stride) {
        const float4 a = reinterpret_cast<const float4*>(x)[i];
        float4 b = reinterpret_cast<float4*>(y)[i];
        b.x += s * a.x;
        b.y += s * a.y;
        b.z += s * a.z;
        b.w += s * a.w;
        reinterpret_cast<float4*>(y)[i] = b;
    }
    for (int i = 4 * packs + first; i < n; i += stride) y[i] += s * x[i];
}
