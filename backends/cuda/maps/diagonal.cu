// The triangles of 64 tokens on the diagonal, and the columns before them that a filter reaches: a thread has one row
// and goes along it from its diagonal entry to the left, multiplying what is read by one decay after the other. Decays
// are any numbers here, and filters of any length, for which rows are kept in a scratch.
#include <alphaform/backends/cuda/maps/lines.cuh>
#include <alphaform/backends/cuda/shared_memory.cuh>

namespace alphaform::cuda::maps {
namespace {

constexpr unsigned short_reach = 8;               // rows of filters with this reach fit into the shared memory
constexpr unsigned window = chunk + short_reach;  // columns whose decays and writes are there at once

/// What a launch works on: some chunks of rows, some channels a block.
struct triangles final {
  channels m;
  unsigned first_chunk, channels_each, width;
  float* parts;  ///< [split][chunk][row][column - first]
  float* rows;   ///< the same of one channel, before the filter, where these are not in the shared memory

  __device__ unsigned first(unsigned begin) const { return all_columns() || begin < m.reach ? 0 : begin - m.reach; }
  __device__ bool all_columns() const { return m.reach > chunk; }
  __device__ std::size_t part(unsigned split) const {
    return (static_cast<std::size_t>(split) * gridDim.x + blockIdx.x) * chunk * width;
  }
};

/// Some states of a channel: read (product of decays) write, along the row of every thread.
template <unsigned States>
class walk final {
 public:
  __device__ walk(const channels& m, unsigned c, unsigned n, unsigned t) : m_(m), c_(c), n_(n), t_(t) {
#pragma unroll
    for (unsigned k = 0; k < States; ++k)
      read_[k] = t < m.tokens && n + k < m.states ? m.read(t, c) * m.read_state(t, c, n + k) : 0.0f;
  }
  /// Columns [begin, end) of the row, from the last to the first, into `row` or added to it.
  __device__ void along(unsigned begin, unsigned end, float* changes, float* writes, float* row, bool add) {
    __syncthreads();
    keep(begin, end, changes, writes);
    __syncthreads();
    if (t_ >= m_.tokens) return;
    // All rows of a warp are at the same column, whose numbers they then read together.
    for (unsigned s = min(end, (t_ | 31) + 1); s-- > begin;) {
      if (s > t_) continue;
      const float entry =
          m_.exclusive && s == t_ ? 0 : step(changes + (s - begin) * States, writes + (s - begin) * States);
      row[s] = add ? row[s] + entry : entry;
    }
  }

 private:
  /// What all rows need.
  __device__ void keep(unsigned begin, unsigned end, float* changes, float* writes) const {
    for (unsigned i = threadIdx.x; i < (end - begin) * States; i += blockDim.x) {
      const unsigned s = begin + i / States, n = n_ + i % States;
      const bool present = s < m_.tokens && n < m_.states;
      const float change = present ? m_.change(s, c_, n) : 0.0f;
      changes[i] = m_.logarithmic ? expm1f(change) : change;
      writes[i] = present ? m_.write(s, c_) * m_.write_state(s, c_, n) : 0.0f;
    }
  }
  __device__ float step(const float* changes, const float* writes) {
    float change[States], write[States];
    load(changes, change);
    load(writes, write);
    float entry = 0;
#pragma unroll
    for (unsigned k = 0; k < States; ++k) {
      entry = fmaf(read_[k], write[k], entry);
      read_[k] = fmaf(change[k], read_[k], read_[k]);
    }
    return entry;
  }
  /// All threads read the same numbers, four at once.
  __device__ static void load(const float* from, float (&to)[States]) {
    if constexpr (States == 1) {
      to[0] = *from;
    } else {
#pragma unroll
      for (unsigned k = 0; k < States; k += 4) {
        const float4 x = *reinterpret_cast<const float4*>(from + k);
        to[k] = x.x, to[k + 1] = x.y, to[k + 2] = x.z, to[k + 3] = x.w;
      }
    }
  }

  const channels& m_;
  unsigned c_, n_, t_;
  float read_[States];
};

/// One channel's row through the filter, into what is taken over channels.
__device__ void take_row(const channels& m, unsigned c, unsigned first, unsigned t, float* row, float* all) {
  const float tap[4]{m.tap(c, 0), m.reach > 0 ? m.tap(c, 1) : 0, m.reach > 1 ? m.tap(c, 2) : 0,
                     m.reach > 2 ? m.tap(c, 3) : 0};
  row[t] += m.skip(t, c);
  const auto entry = [=](unsigned s) { return s <= t ? row[s] : 0.0f; };
  const float weight = m.weight(c);
  float x0 = entry(first), x1 = entry(first + 1), x2 = entry(first + 2);
  for (unsigned s = first; s <= t; ++s) {
    const float x3 = entry(s + 3);
    float x = fmaf(tap[3], x3, fmaf(tap[2], x2, fmaf(tap[1], x1, tap[0] * x0)));
    for (unsigned k = 4; k <= m.reach && s + k <= t; ++k) x = fmaf(m.tap(c, k), row[s + k], x);
    all[s] = taken(m.over, weight, x, all[s]);
    x0 = x1;
    x1 = x2;
    x2 = x3;
  }
}

/// Inside: rows are in the shared memory.
template <unsigned States, bool Inside>
__global__ void take_triangles(const triangles d) {
  const channels& m = d.m;
  const unsigned begin = (d.first_chunk + blockIdx.x) * chunk, first = d.first(begin), t = begin + threadIdx.x;
  float* const shared = shared_memory<float>();
  float* const changes = shared;
  float* const writes = changes + window * States;
  float* const part = d.parts + d.part(blockIdx.y);
  float* const inside = writes + window * States;
  // A row is addressed by its columns.
  const std::size_t own = threadIdx.x * d.width;
  float* const row = (Inside ? inside : d.rows + d.part(blockIdx.y)) + own - first;
  float* const all = (Inside ? inside + chunk * d.width : part) + own - first;
  if (t < m.tokens)
    for (unsigned s = first; s <= t; ++s) all[s] = nothing_taken(m.over);
  const unsigned last = min(m.count, (blockIdx.y + 1) * d.channels_each);
  for (unsigned c = blockIdx.y * d.channels_each; c < last; ++c) {
    for (unsigned n = 0; n < m.states; n += States) {
      walk<States> states(m, c, n, t);
      for (unsigned end = min(m.tokens, begin + chunk); end > first;) {
        const unsigned from = max(first + window, end) - window;
        states.along(from, end, changes, writes, row, n > 0);
        end = from;
      }
    }
    if (t < m.tokens) take_row(m, c, first, t, row, all);
  }
  if (!Inside) return;
  __syncthreads();
  for (unsigned i = threadIdx.x; i < chunk * d.width; i += blockDim.x) part[i] = inside[chunk * d.width + i];
}

/// The parts of each entry, in order, to the map.
__global__ void add_triangles(const triangles d, const square map, unsigned splits) {
  const channels& m = d.m;
  const unsigned begin = (d.first_chunk + blockIdx.x) * chunk, first = d.first(begin), t = begin + blockIdx.y;
  if (t >= m.tokens) return;
  for (unsigned s = first + threadIdx.x; s <= t; s += blockDim.x) {
    const std::size_t at = static_cast<std::size_t>(blockIdx.y) * d.width + s - first;
    float x = d.parts[d.part(0) + at];
    for (unsigned k = 1; k < splits; ++k) x = together(m.over, x, d.parts[d.part(k) + at]);
    float& entry = map(t, s);
    entry = together(m.over, entry, x);
  }
}

template <unsigned States, bool Inside>
void add_chunks(const triangles& d, const square& map, unsigned chunks, unsigned splits) {
  const std::size_t rows = Inside ? 2 * chunk * d.width : 0;
  launch(take_triangles<States, Inside>, dim3(chunks, splits), dim3(chunk),
         (rows + 2 * window * States) * sizeof(float), d);
  launch(add_triangles, dim3(chunks, chunk), dim3(128), 0, d, map, splits);
}

template <bool Inside>
void add_some(const triangles& d, const square& map, unsigned chunks, unsigned splits) {
  if (d.m.states == 1) return add_chunks<1, Inside>(d, map, chunks, splits);
  if (d.m.states <= 4) return add_chunks<4, Inside>(d, map, chunks, splits);
  add_chunks<16, Inside>(d, map, chunks, splits);
}

}  // namespace

void add_diagonal(const channels& m, const square& map) {
  constexpr std::size_t budget = (24u << 20) / sizeof(float);  // of parts, and of rows beside them
  const bool inside = m.reach <= short_reach;
  const unsigned columns = m.reach > chunk ? m.tokens : chunk + m.reach, width = columns | 1;
  const unsigned all = (m.tokens + chunk - 1) / chunk;
  const std::size_t most = std::max<std::size_t>(1, budget / (std::size_t{chunk} * width));  // chunks, each split
  const auto chunks = static_cast<unsigned>(std::min<std::size_t>(all, most));
  const auto wanted = static_cast<unsigned>(std::clamp<std::size_t>(
      132 * 5 / chunks, 1, std::max<std::size_t>(1, std::min<std::size_t>(m.count, most / chunks))));
  const unsigned each = (m.count + wanted - 1) / wanted, splits = (m.count + each - 1) / each;
  const std::size_t numbers = std::size_t{chunks} * splits * chunk * width;
  const scratch<float> parts(numbers), rows(inside ? 1 : numbers);
  triangles d{m, 0, each, width, parts.data(), rows.data()};
  for (; d.first_chunk < all; d.first_chunk += chunks) {
    const unsigned here = std::min(chunks, all - d.first_chunk);
    if (inside)
      add_some<true>(d, map, here, splits);
    else
      add_some<false>(d, map, here, splits);
  }
}

}  // namespace alphaform::cuda::maps
