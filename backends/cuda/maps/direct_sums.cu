// Sums of decays along tokens: a warp goes along one channel, 32 tokens at a time.
#include <alphaform/backends/cuda/maps/direct.cuh>

namespace alphaform::cuda::maps {
namespace {

constexpr unsigned warps = 8;  // of channels side by side, which are read together
constexpr unsigned ahead = 8;  // of 32 tokens that are on their way

__global__ void __launch_bounds__(32 * warps) sum_channels(const direct d) {
  const unsigned c = d.first_channel + blockIdx.x * warps + threadIdx.x / 32, lane = threadIdx.x % 32;
  if (c >= d.last_channel) return;
  double* const sums = d.sums + d.line(c);
  resets_of_32* const resets = d.resets + d.resets_line(c);
  double before = 0;
  unsigned resets_before = 0;
  for (unsigned begin = 0; begin <= d.m.tokens; begin += 32 * ahead) {
    float next[ahead];
#pragma unroll
    for (unsigned k = 0; k < ahead; ++k) {
      const unsigned t = begin + 32 * k + lane;
      next[k] = t < d.m.tokens ? d.m.decay(t, c) : 0;
    }
#pragma unroll
    for (unsigned k = 0; k < ahead; ++k) {
      const unsigned t = begin + 32 * k + lane;
      const bool is_reset = fabsf(next[k]) > most_of_sum;
      double sum = is_reset ? 0 : next[k];
      const unsigned all_resets = __ballot_sync(0xffffffffu, is_reset);
#pragma unroll
      for (unsigned apart = 1; apart < 32; apart *= 2) {
        const double other = __shfl_up_sync(0xffffffffu, sum, apart);
        if (lane >= apart) sum += other;
      }
      const double earlier = __shfl_up_sync(0xffffffffu, sum, 1);
      if (t <= d.m.tokens) {
        sums[t] = before + (lane == 0 ? 0 : earlier);
        if (lane == 0) resets[t / 32] = {resets_before, all_resets};
      }
      before += __shfl_sync(0xffffffffu, sum, 31);
      resets_before += __popc(all_resets);
    }
  }
}

}  // namespace

void sum_up(const direct& d) {
  launch(sum_channels, dim3((d.last_channel - d.first_channel + warps - 1) / warps), dim3(32 * warps), 0, d);
}

bool fits_direct(const channel_matrices<float>& matrices, const channels& m) {
  const auto of_channels = [](const factored<float>& f) { return f.v.of(axis::chan) > 1; };
  return m.logarithmic && m.apart && matrices.core.decay.v.of(axis::token) == 1 && !of_channels(matrices.core.read) &&
         !of_channels(matrices.core.write) && m.states > 1 && m.states <= most_direct_states &&
         m.reach <= most_direct_reach && m.tokens > chunk;
}

void add_directly(const channels& m, const square& map) {
  constexpr std::size_t budget = 24u << 20;  // bytes of sums
  const std::size_t each_sums = std::size_t{m.tokens} + 1, each_resets = std::size_t{m.tokens} / 32 + 1,
                    each = each_sums * sizeof(double) + each_resets * sizeof(resets_of_32),
                    most = std::max<std::size_t>(1, budget / each), passes = (m.count + most - 1) / most,
                    at_once = (m.count + passes - 1) / passes;
  const scratch<double> sums(at_once * each_sums);
  const scratch<resets_of_32> resets(at_once * each_resets);
  direct d{m, map, 0, 0, sums.data(), resets.data(), nullptr};
  for (; d.first_channel < m.count; d.first_channel = d.last_channel) {
    d.last_channel = static_cast<unsigned>(std::min<std::size_t>(m.count, d.first_channel + at_once));
    sum_up(d);
    add_direct_tiles(d);
    add_direct_leaves(d);
  }
}

}  // namespace alphaform::cuda::maps
