// Work that is only rehearsed, to learn what memory it takes: it has addresses without memory behind them, and nothing
// goes into the queue.
#pragma once
#include <cstddef>
#include <functional>

namespace alphaform::cuda {

/// Does this thread rehearse?
bool is_rehearsing();
/// The bytes that `work` has at most at a time. What it allocates is released before it ends.
std::size_t rehearse(const std::function<void()>& work);

/// Blocks of a rehearsal, as `allocate` and `release` of the device give and take them.
float* take_rehearsed(std::size_t bytes);
void release_rehearsed(float*);

}  // namespace alphaform::cuda
