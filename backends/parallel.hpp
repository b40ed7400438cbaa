// Work that is shared among threads: one pool for the process. What a task computes may not depend on which thread runs
// it or on how many there are, so that results are the same bit for bit.
#pragma once
#include <cstddef>
#include <functional>

namespace alphaform {

/// Threads that work on a `parallel`, the calling one included; at first as many as the machine has.
std::size_t threads();
/// @throws user_error for 0
void use_threads(std::size_t);

/// task(0) ... task(count - 1), each once, in any order; returns when all are done. Within a task it runs one after the
/// other. The first exception that a task throws is thrown on.
void parallel(std::size_t count, const std::function<void(std::size_t)>& task);

}  // namespace alphaform
