// The triangles of 16 tokens on the diagonal, and the columns before them that a filter reaches: a thread has one row
// and goes along it from its diagonal entry to the left, multiplying what is read by one decay after the other. A warp
// has two triangles of one channel after the other.
#include <alphaform/backends/cuda/maps/direct.cuh>

namespace alphaform::cuda::maps {
namespace {

constexpr unsigned warps = 8, rows = 2 * leaf, columns = leaf + most_direct_reach, window = rows + most_direct_reach;
constexpr unsigned states = most_direct_states;

/// Decays and writes of one channel's tokens, which all rows of a warp go along.
struct leaf_tokens final {
  float decays[window][states], writes[window][states];
};
union leaf_memory {
  leaf_tokens tokens[warps];
  float taken[warps][rows][columns];
};

/// What a thread brings for one channel: numbers of some tokens for all rows, and of its own row.
struct brought final {
  static constexpr unsigned together = 4, each = (window + together - 1) / together;  // of tokens
  float changes[each], writes[each], rates[2], read, skip;
};

/// Vectors of states that all channels share.
struct leaf_vectors final {
  float reads[rows][states + 1];
  alignas(8) float writes[window][states];

  __device__ void find(const channels& m) {
    const unsigned first = blockIdx.x * rows;
    for (unsigned e = threadIdx.x; e < (rows + window) * states; e += 32 * warps) {
      const unsigned k = e / states, n = e % states;
      if (k < rows)
        reads[k][n] = first + k < m.tokens && n < m.states ? m.read_state(first + k, 0, n) : 0;
      else
        writes[k - rows][n] = n < m.states ? write(m, first + k - rows, n) : 0;
    }
  }

 private:
  __device__ static float write(const channels& m, unsigned behind, unsigned n) {
    return behind >= m.reach && behind - m.reach < m.tokens ? m.write_state(behind - m.reach, 0, n) : 0;
  }
};

class leaf_row final {
 public:
  __device__ leaf_row(const direct& d, const leaf_vectors& shared, leaf_tokens& own)
      : m_(d.m),
        shared_(shared),
        own_(own),
        first_(blockIdx.x * rows),
        lane_(threadIdx.x % 32),
        t_(first_ + lane_),
        diagonal_(lane_ % leaf + m_.reach) {
#pragma unroll
    for (float& x : all_) x = nothing_taken(m_.over);
  }

  /// Channels from `begin` on, each so many further.
  __device__ void take(unsigned begin, unsigned end, unsigned step) {
    brought next = bring(min(begin, m_.count - 1));
    for (unsigned c = begin; c < end; c += step) {
      keep(next);
      const float read = next.read, skip = next.skip;
      __syncwarp();
      if (c + step < end) next = bring(c + step);
      take_row(c, read, skip);
      __syncwarp();
    }
  }
  __device__ void store(float (*to)[columns]) const {
#pragma unroll
    for (unsigned j = 0; j < columns; ++j) to[lane_][j] = all_[j];
  }

 private:
  __device__ unsigned state() const { return lane_ % (states / 2) * 2; }
  /// The place in the window of a thread's token number i, and the token.
  __device__ unsigned place(unsigned i) const { return i * brought::together + lane_ / (states / 2); }
  __device__ unsigned token(unsigned place) const { return first_ + place - m_.reach; }
  __device__ bool exists(unsigned place) const {
    return place < window && first_ + place >= m_.reach && token(place) < m_.tokens;
  }

  /// As it lies in memory; of another token where there is none.
  __device__ brought bring(unsigned c) const {
    brought x;
#pragma unroll
    for (unsigned i = 0; i < brought::each; ++i) {
      const unsigned t = exists(place(i)) ? token(place(i)) : 0;
      x.changes[i] = m_.decay(t, c);
      x.writes[i] = m_.write(t, c);
    }
#pragma unroll
    for (unsigned j = 0; j < 2; ++j) x.rates[j] = state() + j < m_.states ? m_.decay_state(0, c, state() + j) : 0;
    x.read = m_.read(min(t_, m_.tokens - 1), c);
    x.skip = m_.skip(min(t_, m_.tokens - 1), c);
    return x;
  }
  __device__ void keep(const brought& x) {
    const unsigned n = state();
    const float rates[2]{rate_of(x.rates[0]), rate_of(x.rates[1])};
#pragma unroll
    for (unsigned i = 0; i < brought::each; ++i) {
      const unsigned k = place(i);
      if (k >= window) continue;
      const float change = fminf(fabsf(x.changes[i]), most_of_sum);
      const auto write = *reinterpret_cast<const float2*>(&shared_.writes[k][n]);  // 0 where there is no token
      *reinterpret_cast<float2*>(&own_.decays[k][n]) = {decay_over(rates[0], change), decay_over(rates[1], change)};
      *reinterpret_cast<float2*>(&own_.writes[k][n]) = {x.writes[i] * write.x, x.writes[i] * write.y};
    }
  }
  __device__ void take_row(unsigned c, float factor, float skip) {
    float read[states], row[columns + most_direct_reach]{};
#pragma unroll
    for (unsigned n = 0; n < states; ++n) read[n] = factor * shared_.reads[lane_][n];
#pragma unroll
    for (unsigned j = columns; j-- > 0;) {
      if (j > diagonal_) continue;
      if (!m_.exclusive || j < diagonal_) row[j] = step(read, lane_ / leaf * leaf + j);
      if (j == diagonal_) row[j] += skip;
    }
    float tap[most_direct_reach + 1];
#pragma unroll
    for (unsigned k = 0; k <= most_direct_reach; ++k) tap[k] = k <= m_.reach ? m_.tap(c, k) : 0;
    const float weight = m_.weight(c);
#pragma unroll
    for (unsigned j = 0; j < columns; ++j) {
      float x = 0;
#pragma unroll
      for (unsigned k = 0; k <= most_direct_reach; ++k) x = fmaf(tap[k], row[j + k], x);
      all_[j] = taken(m_.over, weight, x, all_[j]);
    }
  }
  /// All rows of a triangle read the same numbers, four at once.
  __device__ float step(float (&read)[states], unsigned k) const {
    float entry[2]{};
#pragma unroll
    for (unsigned n = 0; n < states; n += 4) {
      const float4 a = *reinterpret_cast<const float4*>(&own_.decays[k][n]);
      const float4 w = *reinterpret_cast<const float4*>(&own_.writes[k][n]);
      entry[0] = fmaf(read[n], w.x, entry[0]);
      entry[1] = fmaf(read[n + 1], w.y, entry[1]);
      entry[0] = fmaf(read[n + 2], w.z, entry[0]);
      entry[1] = fmaf(read[n + 3], w.w, entry[1]);
      read[n] *= a.x, read[n + 1] *= a.y, read[n + 2] *= a.z, read[n + 3] *= a.w;
    }
    return entry[0] + entry[1];
  }

  const channels& m_;
  const leaf_vectors& shared_;
  leaf_tokens& own_;
  unsigned first_, lane_, t_, diagonal_;
  float all_[columns];
};

__global__ void __launch_bounds__(32 * warps, 2) take_leaves(const direct d, unsigned channels_each) {
  __shared__ alignas(16) leaf_memory shared;
  __shared__ leaf_vectors vectors;
  const unsigned warp = threadIdx.x / 32, begin = d.first_channel + blockIdx.y * channels_each,
                 end = min(d.last_channel, begin + channels_each);
  vectors.find(d.m);
  __syncthreads();
  leaf_row row(d, vectors, shared.tokens[warp]);
  row.take(begin + warp, end, warps);
  __syncthreads();
  row.store(shared.taken[warp]);
  __syncthreads();
  float* const part = d.parts + (static_cast<std::size_t>(blockIdx.y) * gridDim.x + blockIdx.x) * rows * columns;
  for (unsigned i = threadIdx.x; i < rows * columns; i += 32 * warps) {
    float x = shared.taken[0][i / columns][i % columns];
#pragma unroll
    for (unsigned w = 1; w < warps; ++w) x = together(d.m.over, x, shared.taken[w][i / columns][i % columns]);
    part[i] = x;
  }
}

/// The parts of each entry, in order, to the map.
__global__ void __launch_bounds__(rows* columns) add_leaf_parts(const direct d, unsigned splits) {
  const unsigned i = threadIdx.x, row = i / columns, t = blockIdx.x * rows + row, begin = t / leaf * leaf;
  const unsigned behind = begin + i % columns;  // of the entry's column by `reach`
  if (t >= d.m.tokens || behind < d.m.reach || behind - d.m.reach > t) return;
  const float* part = d.parts + static_cast<std::size_t>(blockIdx.x) * rows * columns + i;
  float x = *part;
#pragma unroll 4
  for (unsigned k = 1; k < splits; ++k)
    x = together(d.m.over, x, part[static_cast<std::size_t>(k) * gridDim.x * rows * columns]);
  float& entry = d.map(t, behind - d.m.reach);
  entry = together(d.m.over, entry, x);
}

}  // namespace

void add_direct_leaves(direct d) {
  const unsigned blocks = (d.m.tokens + rows - 1) / rows, channels = d.last_channel - d.first_channel,
                 wanted =
                     std::clamp(4 * static_cast<unsigned>(processors()) / blocks, 1u, (channels + warps - 1) / warps),
                 each = (channels + wanted - 1) / wanted, splits = (channels + each - 1) / each;
  const scratch<float> parts(static_cast<std::size_t>(splits) * blocks * rows * columns);
  d.parts = parts.data();
  launch(take_leaves, dim3(blocks, splits), dim3(32 * warps), 0, d, each);
  launch(add_leaf_parts, dim3(blocks), dim3(rows * columns), 0, d, splits);
}

}  // namespace alphaform::cuda::maps
