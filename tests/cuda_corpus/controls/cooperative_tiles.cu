// Tiles of cooperative groups, each with its own shuffles and barrier.
#include <cooperative_groups.h>
namespace cg = cooperative_groups;
extern "C" __global__ void cooperative_tiles(const int* x, int* y) {
    __shared__ int part[64];
    cg::thread_block block = cg::this_thread_block();
    cg::thread_block_tile<8> tile = cg::tiled_partition<8>(block);
    int t = block.thread_rank();
    int value = x[t];
    for (int step = tile.size() / 2; step > 0; step /= 2) value += tile.shfl_down(value, step);
    if (tile.thread_rank() == 0) part[t / 8] = value;
    block.sync();
    if (t < 8) {
        part[8 + t] = part[7 - t];
        tile.sync();
        y[t] = part[8 + (t + 1) % 8];
    }
}
