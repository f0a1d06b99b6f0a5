// A vector of four of which three parts were set, and three are used.
extern "C" __global__ void unused_vector_part(const float* points, float* length) {
    __shared__ float4 staged[32];
    int t = threadIdx.x;
    staged[t].x = points[3 * t];
    staged[t].y = points[3 * t + 1];
    staged[t].z = points[3 * t + 2];
    __syncthreads();
    float4 p = staged[31 - t];
    length[t] = p.x * p.x + p.y * p.y + p.z * p.z;
}
