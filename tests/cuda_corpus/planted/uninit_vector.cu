// Points of x, y, z in shared vectors of four; the fourth component is read, but never set.
extern "C" __global__ void uninit_vector(const float* points, float* length) {
    __shared__ float4 staged[32];
    int t = threadIdx.x;
    staged[t].x = points[3 * t];
    staged[t].y = points[3 * t + 1];
    staged[t].z = points[3 * t + 2];
#ifndef DEFECT
    staged[t].w = 0.0f;
#endif
    __syncthreads();
    float4 p = staged[31 - t];  // defect
    length[t] = p.x * p.x + p.y * p.y + p.z * p.z + p.w * p.w;
}
