// Trusts that its argument starts at a multiple of sixteen bytes; a view x[1:] does not.
extern "C" __global__ void misaligned_view(float4* x, int vectors) {
    int i = threadIdx.x;
    if (i >= vectors) return;
    float4 v = x[i];  // defect
    x[i] = make_float4(-v.x, -v.y, -v.z, -v.w);
}
