// Views as the kernels of states read them, and what they fetch for the next call.
#pragma once
#include <alphaform/backends/cpu/states/window.hpp>
#include <alphaform/view.hpp>
#include <span>

namespace alphaform::cpu {

/// `expect` of a backend's kernels: the next scan of this thread fetches these streams if they have its tokens and
/// channels.
void expect(std::span<const view<const float>> soon);
/// Those that a scan of y can fetch row beside row; they are expected no longer.
std::array<strided, 4> streams_beside(const view<float>& y, bool backward);

/// An operand from its first token on in the scan's direction.
strided along(const view<const float>&, bool backward);

/// What one scan goes over; all other axes are loops around it.
constexpr bool within_scan(axis a) { return a == axis::token || a == axis::chan || a == axis::state; }

}  // namespace alphaform::cpu
