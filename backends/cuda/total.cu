// Sums over axes: each thread of a block sums every so many-th entry in double, the block adds these up as a tree, and
// where one sum has several blocks a second pass adds up theirs. The order is the same in every run.
#include <alphaform/backends/cuda/functions.hpp>
#include <alphaform/backends/cuda/launch.cuh>
#include <cstdlib>

namespace alphaform::cuda {
namespace {

constexpr unsigned threads = 256;

/// How a block's threads share sums: `summing` of them add up one sum, 256 / summing sums are made side by side.
struct division final {
  unsigned summing;
  bool along_sums;               ///< threads that follow each other make different sums
  unsigned parts;                ///< blocks for each sum
  std::uint64_t entries_a_part;  ///< of each sum
};

/// The sums of one shape: `kept` has the operand and the results, `summed` what is added up for each.
struct sums final {
  layout<2> kept;
  layout<1> summed;
};

template <class T>
__device__ inline double entry_of(const sums& s, bool absolute, const T* x, std::uint64_t i) {
  const double entry = x[places_of(s.summed, i).at[0]];
  return absolute ? fabs(entry) : entry;
}

/// Sum k of part p to partial[p, k], or times the weight to y where there is but one part.
template <class T>
__global__ void summed_up(const sums s, const division d, float weight, bool absolute, const T* x, double* partial,
                          float* y) {
  __shared__ double tree[threads];
  const unsigned side_by_side = threads / d.summing;
  const unsigned lane = d.along_sums ? threadIdx.x / side_by_side : threadIdx.x % d.summing;
  const unsigned sum = d.along_sums ? threadIdx.x % side_by_side : threadIdx.x / d.summing;
  const unsigned step = d.along_sums ? side_by_side : 1;
  const std::uint64_t k = static_cast<std::uint64_t>(blockIdx.x) * side_by_side + sum;
  const std::uint64_t begin = blockIdx.y * d.entries_a_part;
  const std::uint64_t end = begin + d.entries_a_part < s.summed.entries ? begin + d.entries_a_part : s.summed.entries;
  places<2> at{};
  double all = 0;
  if (k < s.kept.entries) {
    at = places_of(s.kept, k);
    const T* const from = x + at.at[0];
    const unsigned by = d.summing;
    std::uint64_t i = begin + lane;
    for (; i + 3 * by < end; i += 4 * by)
      all += (entry_of(s, absolute, from, i) + entry_of(s, absolute, from, i + by)) +
             (entry_of(s, absolute, from, i + 2 * by) + entry_of(s, absolute, from, i + 3 * by));
    for (; i < end; i += by) all += entry_of(s, absolute, from, i);
  }
  tree[threadIdx.x] = all;
  for (unsigned half = d.summing / 2; half > 0; half /= 2) {
    __syncthreads();
    if (lane < half) tree[threadIdx.x] += tree[threadIdx.x + half * step];
  }
  if (lane != 0 || k >= s.kept.entries) return;
  if (gridDim.y == 1)
    y[at.at[1]] += static_cast<float>(weight * tree[threadIdx.x]);
  else
    partial[blockIdx.y * s.kept.entries + k] = tree[threadIdx.x];
}

unsigned power_of_two_from(std::uint64_t n, unsigned most) {
  unsigned p = 1;
  while (p < most && p < n) p *= 2;
  return p;
}

/// Neighbours in memory are read by neighbouring threads, and there are enough threads for the card.
division divided(const sums& s) {
  constexpr unsigned warp = 32, enough_blocks = 2048, entries_a_thread = 16;
  const std::uint64_t kept = s.kept.entries, summed = s.summed.entries;
  const auto step = [](const auto& l) { return l.axes == 0 ? 0 : std::abs(l.step[0][0]); };
  const std::int64_t along = step(s.kept), across = step(s.summed);
  division d{};
  d.along_sums = summed == 1 || across == 0 || (along != 0 && along < across);
  if (d.along_sums)
    d.summing = power_of_two_from(summed, threads / power_of_two_from(kept, warp));
  else
    d.summing = power_of_two_from(summed, kept < enough_blocks ? threads : warp);
  const unsigned side_by_side = threads / d.summing;
  const std::uint64_t blocks = (kept + side_by_side - 1) / side_by_side, least = d.summing * entries_a_thread;
  const std::uint64_t parts =
      std::max<std::uint64_t>(1, std::min((enough_blocks + blocks - 1) / blocks, summed / least));
  d.entries_a_part = (summed + parts - 1) / parts;
  d.parts = static_cast<unsigned>((summed + d.entries_a_part - 1) / d.entries_a_part);
  return d;
}

template <class T>
void add_up(const sums& s, const division& d, float weight, bool absolute, const T* x, double* partial, float* y) {
  const unsigned side_by_side = threads / d.summing;
  const auto blocks = static_cast<unsigned>((s.kept.entries + side_by_side - 1) / side_by_side);
  launch(summed_up<T>, dim3(blocks, d.parts), dim3(threads), 0, s, d, weight, absolute, x, partial, y);
}

/// Where the sums of the parts lie: [part, sum].
sums of_parts(const sums& s, unsigned parts) {
  sums p = s;
  std::int64_t step = 1;
  for (int a = 0; a < p.kept.axes; ++a) {
    p.kept.step[0][a] = step;
    step *= p.kept.size[a];
  }
  extents size = single;
  at(size, axis::token) = parts;
  view<const double> line{nullptr, size, {}};
  at(line.stride, axis::token) = s.kept.entries;
  p.summed = layout_of(size, line);
  return p;
}

}  // namespace

void total(float weight, bool absolute, in x, out y) {
  extents kept = x.size, summed = x.size;
  for (std::size_t a = 0; a < axis_count; ++a) (y.size[a] == 1 ? kept : summed)[a] = 1;
  const sums s{layout_of(kept, x, y), layout_of(summed, x)};
  if (s.kept.entries == 0 || s.summed.entries == 0) return;
  const division d = divided(s);
  if (d.parts == 1) return add_up<float>(s, d, weight, absolute, x.data, nullptr, y.data);
  const scratch<double> partial(s.kept.entries * d.parts);
  add_up<float>(s, d, 1, absolute, x.data, partial.data(), nullptr);
  const sums of_all = of_parts(s, d.parts);
  division last = divided(of_all);
  last.parts = 1;
  last.entries_a_part = d.parts;
  add_up<double>(of_all, last, weight, false, partial.data(), nullptr, y.data);
}

}  // namespace alphaform::cuda
