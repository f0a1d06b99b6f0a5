// Rows lie `pitch` bytes apart; the defect takes that for elements.
extern "C" __global__ void oob_pitch(const float* image, float* out, int width, int height, int pitch) {
    int column = blockIdx.x * blockDim.x + threadIdx.x, row = blockIdx.y * blockDim.y + threadIdx.y;
    if (column >= width || row >= height) return;
#ifdef DEFECT
    int step = pitch;
#else
    int step = pitch / static_cast<int>(sizeof(float));
#endif
    out[row * width + column] = 1.0f - image[row * step + column];  // defect
}
