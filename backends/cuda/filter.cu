// Causal filters y_t = sum_k w_k x_{t-k} as direct sums, O(tokens taps); the transposed ones run from the last token to
// the first. A few taps stay in a thread's registers while it goes over a run of tokens; many go through shared memory,
// 16 tokens of one lane (the entries of a token) to a thread.
#include <alphaform/backends/cuda/functions.hpp>
#include <alphaform/backends/cuda/launch.cuh>

namespace alphaform::cuda {
namespace {

constexpr axis time = axis::token;

/// A filter over lanes: w_k lies at k tap_step, x_t at t x_token. Operands of the layout are w_0, x and y of one token.
struct filtered final {
  layout<3> lanes;
  std::int64_t tokens, width, tap_step, x_token, y_token;
  const float *taps, *x;
  float* y;
};

// ---- a few taps

/// Four numbers, or one, of neighbouring lanes.
template <int Lanes>
struct alignas(Lanes * sizeof(float)) some final {
  float of[Lanes];
};

/// Each thread goes over `run` tokens of some neighbouring lanes, whose taps are `neighbour` apart.
template <int Taps, int Lanes>
__global__ void filter_runs(const filtered f, std::int64_t run, std::int64_t neighbour) {
  constexpr int ahead = 4;
  using numbers = some<Lanes>;
  const std::uint64_t i = static_cast<std::uint64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  const std::uint64_t runs = (f.tokens + run - 1) / run;
  if (i >= f.lanes.entries * runs) return;
  const std::uint64_t which = i / f.lanes.entries;
  const auto at = places_of(f.lanes, i - which * f.lanes.entries);
  const std::int64_t begin = static_cast<std::int64_t>(which) * run, end = min(begin + run, f.tokens);
  const float *const taps = f.taps + at.at[0], *const x = f.x + at.at[1];
  float* const y = f.y + at.at[2];
  const auto input = [&](std::int64_t t) {
    return t < 0 || t >= end ? numbers{} : *reinterpret_cast<const numbers*>(x + t * f.x_token);
  };

  numbers w[Taps], row[Taps - 1 + ahead];  // the last inputs, then the next
  for (int k = 0; k < Taps; ++k)
    for (int j = 0; j < Lanes; ++j) w[k].of[j] = taps[k * f.tap_step + j * neighbour];
  for (int k = 0; k < Taps - 1; ++k) row[k] = input(begin - (Taps - 1) + k);
  for (std::int64_t t = begin; t < end; t += ahead) {
    for (int r = 0; r < ahead; ++r) row[Taps - 1 + r] = input(t + r);
    for (int r = 0; r < ahead; ++r) {
      numbers sum{};
      for (int k = 0; k < Taps; ++k)
        for (int j = 0; j < Lanes; ++j) sum.of[j] = fmaf(w[k].of[j], row[Taps - 1 + r - k].of[j], sum.of[j]);
      if (t + r < end) *reinterpret_cast<numbers*>(y + (t + r) * f.y_token) = sum;
    }
    for (int k = 0; k < Taps - 1; ++k) row[k] = row[k + ahead];
  }
}

template <int Taps, int Lanes>
void launch_runs(const filtered& f, std::int64_t neighbour) {
  constexpr unsigned threads = 128;
  constexpr std::int64_t enough_threads = 1 << 18, shortest = 8, longest = 64;
  const auto lanes = static_cast<std::int64_t>(f.lanes.entries);
  const std::int64_t run = std::clamp(f.tokens * lanes / enough_threads / 4 * 4, shortest, longest);
  const std::int64_t all = lanes * ((f.tokens + run - 1) / run);
  launch(filter_runs<Taps, Lanes>, dim3(static_cast<unsigned>((all + threads - 1) / threads)), dim3(threads), 0, f, run,
         neighbour);
}
template <int Taps>
void few_taps(const filtered& f) {
  const bool in_lines =
      lies_in_fours(f.lanes, 1, f.x) && lies_in_fours(f.lanes, 2, f.y) && f.x_token % 4 == 0 && f.y_token % 4 == 0;
  if (!in_lines) return launch_runs<Taps, 1>(f, 0);
  filtered fours = f;
  fours.lanes = in_fours(f.lanes);
  launch_runs<Taps, 4>(fours, f.lanes.step[0][0]);
}

// ---- any number of taps, entry by entry: for a few lanes

/// Operands are w_0, x_0, y and the number of the token.
__global__ void filter_entries(const filtered f, const layout<4> l) {
  const std::uint64_t all = static_cast<std::uint64_t>(gridDim.x) * blockDim.x;
  for (std::uint64_t i = static_cast<std::uint64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < l.entries; i += all) {
    const auto at = places_of(l, i);
    const std::int64_t t = at.at[3], taps = min(f.width, t + 1);
    const float *const w = f.taps + at.at[0], *const x = f.x + at.at[1] + t * f.x_token;
    float sum = 0;
    for (std::int64_t k = 0; k < taps; ++k) sum = fmaf(w[k * f.tap_step], x[-k * f.x_token], sum);
    f.y[at.at[2]] = sum;
  }
}

// ---- many taps

constexpr int lanes_a_block = 32, warps = 8, tokens_a_thread = 16, tokens_a_block = warps * tokens_a_thread;
constexpr int taps_a_tile = 64, inputs_a_tile = taps_a_tile + tokens_a_block;
constexpr int pitch = lanes_a_block + 1;  // no bank is met twice, whichever way a tile is written

/// Where the lanes of a block begin in the taps and in x.
struct lanes_here final {
  std::int64_t taps[lanes_a_block], x[lanes_a_block];
};

/// Rows [begin, begin + Rows) of the lanes that begin at from + at, 0 outside [0, end). Neighbouring threads read
/// neighbouring rows or lanes, whichever lie together.
template <int Rows>
__device__ inline void load_rows(float* tile, const float* from, const std::int64_t* at, int lanes, std::int64_t begin,
                                 std::int64_t end, std::int64_t step) {
  const bool along_rows = step == 1 || step == -1;
  for (int i = threadIdx.x; i < Rows * lanes_a_block; i += warps * 32) {
    const int row = along_rows ? i % Rows : i / lanes_a_block, lane = along_rows ? i / Rows : i % lanes_a_block;
    const std::int64_t t = begin + row;
    tile[row * pitch + lane] = t >= 0 && t < end && lane < lanes ? from[at[lane] + t * step] : 0;
  }
}

/// sum_j += w_k x_{j-k} for a thread's tokens and the taps of one tile; `x` is the thread's first input of tap 0.
__device__ inline void add_tile(const float* w, const float* x, float (&sum)[tokens_a_thread]) {
  constexpr int n = tokens_a_thread;
#pragma unroll 1
  for (int first = 0; first < taps_a_tile; first += n) {
    float input[2 * n - 1];  // x_{j - first - (n - 1)}
#pragma unroll
    for (int j = 0; j < 2 * n - 1; ++j) input[j] = x[(j - first - (n - 1)) * pitch];
#pragma unroll
    for (int k = 0; k < n; ++k) {
      const float tap = w[(first + k) * pitch];
#pragma unroll
      for (int j = 0; j < n; ++j) sum[j] = fmaf(tap, input[j - k + n - 1], sum[j]);
    }
  }
}

__global__ void __launch_bounds__(warps * 32, 3) filter_tiles(const filtered f, unsigned lane_blocks) {
  __shared__ float w[taps_a_tile * pitch], x[inputs_a_tile * pitch];
  __shared__ lanes_here here;
  const std::uint64_t first_lane = static_cast<std::uint64_t>(blockIdx.x % lane_blocks) * lanes_a_block;
  // The last tokens have most to sum: they come first.
  const std::int64_t first_token =
      static_cast<std::int64_t>(tokens_a_block) * (gridDim.x / lane_blocks - 1 - blockIdx.x / lane_blocks);
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const auto at = places_of(f.lanes, min(first_lane + lane, f.lanes.entries - 1));
  if (warp == 0) here.taps[lane] = at.at[0], here.x[lane] = at.at[1];
  const int lanes = static_cast<int>(min(f.lanes.entries - first_lane, static_cast<std::uint64_t>(lanes_a_block)));
  const std::int64_t last = min(first_token + tokens_a_block, f.tokens), taps = min(f.width, last);
  float all[tokens_a_thread]{};  // sums of the sums of tiles: thousands of taps round as dozens do
  for (std::int64_t tap = 0; tap < taps; tap += taps_a_tile) {
    __syncthreads();
    load_rows<taps_a_tile>(w, f.taps, here.taps, lanes, tap, taps, f.tap_step);
    load_rows<inputs_a_tile>(x, f.x, here.x, lanes, first_token - tap - taps_a_tile, last, f.x_token);
    __syncthreads();
    float sum[tokens_a_thread]{};
    add_tile(w + lane, x + (taps_a_tile + warp * tokens_a_thread) * pitch + lane, sum);
#pragma unroll
    for (int j = 0; j < tokens_a_thread; ++j) all[j] += sum[j];
  }
  if (lane >= lanes) return;
  float* const y = f.y + at.at[2];
#pragma unroll
  for (int j = 0; j < tokens_a_thread; ++j) {
    const std::int64_t t = first_token + warp * tokens_a_thread + j;
    if (t < f.tokens) y[t * f.y_token] = all[j];
  }
}

void many_taps(const filtered& f) {
  const auto lane_blocks = static_cast<unsigned>((f.lanes.entries + lanes_a_block - 1) / lanes_a_block);
  const auto token_blocks = static_cast<unsigned>((f.tokens + tokens_a_block - 1) / tokens_a_block);
  launch(filter_tiles, dim3(lane_blocks * token_blocks), dim3(warps * 32), 0, f, lane_blocks);
}

// ---- which

void entry_by_entry(const filtered& f, in first_tap, in x, out y) {
  constexpr unsigned threads = 128;
  in first = x, number{nullptr, y.size, {}};
  at(first.stride, time) = 0;
  if (f.tokens > 1) at(number.stride, time) = 1;
  const auto l = layout_of(y.size, first_tap, first, y, number);
  launch(filter_entries, blocks_for(l.entries, threads), dim3(threads), 0, f, l);
}

void filter(in taps, in x, out y) {
  constexpr std::size_t fewest_lanes = 16, many = 16;
  const std::size_t width = taps.of(axis::tap), lanes = volume(y.size) / std::max<std::size_t>(y.of(time), 1);
  if (volume(y.size) == 0) return;
  const in first_tap = taps.slice(axis::tap, width - 1, width);
  extents one_token = y.size;
  at(one_token, time) = 1;
  const auto step = [](const auto& v, axis a) { return static_cast<std::int64_t>(v.step(a)); };
  const filtered f{layout_of(one_token, first_tap, x, y),
                   static_cast<std::int64_t>(y.of(time)),
                   static_cast<std::int64_t>(width),
                   -step(taps, axis::tap),
                   step(x, time),
                   step(y, time),
                   first_tap.data,
                   x.data,
                   y.data};
  if (width >= many) return many_taps(f);
  if (width > 4 || lanes < fewest_lanes) return entry_by_entry(f, first_tap, x, y);
  if (width == 4) return few_taps<4>(f);
  if (width == 3) return few_taps<3>(f);
  if (width == 2) return few_taps<2>(f);
  few_taps<1>(f);
}

}  // namespace

void fir(in taps, in x, out y) { filter(taps, x, y); }
void fir_adjoint(in taps, in g, out y) { filter(taps, backwards(g), backwards(y)); }

}  // namespace alphaform::cuda
