// Attention in tiles of 64 x 64 weights that are never stored: scores, their exponentials, and the sums of values that
// they weight. The softmax keeps a running maximum and sum of each query (Milakov and Gimelshein 2018; Dao et al.
// 2022); transposed, where a tile's rows are keys, these are made in a pass before. A few queries of many keys share
// out these.
#include <alphaform/backends/cuda/functions.hpp>
#include <alphaform/backends/cuda/launch.cuh>
#include <cmath>

namespace alphaform::cuda {
namespace {

constexpr axis time = axis::token;

/// Weights a_{row, column}: rows are the tokens of y, columns those of x. Transposed, rows are keys.
struct attention final {
  layout<4> heads;   ///< rows, columns, x and y of each attention
  layout<2> values;  ///< x and y of one token of one attention
  std::int64_t row_count, column_count, state_count;
  std::int64_t past, window;  ///< columns before the first row; how many columns a row has at most
  std::int64_t row_token, row_state, column_token, column_state, x_token, y_token;
  const float *rows, *columns, *x;
  float* y;
};

/// How scores become weights: as they are, by the softmax along a tile's rows, or by that of its columns, which is
/// given.
enum class weighting { plain, running, given };

constexpr int side = 64;  // of a tile of weights, and how many values a block sums
constexpr int rows_a_thread = 8, columns_a_thread = 4, row_groups = 8, column_groups = 16;
constexpr int threads = row_groups * column_groups;
constexpr int states_a_time = 32, pitch = side + 4;  // whole 16 bytes, and other banks for the next row

using tile = float[rows_a_thread][columns_a_thread];

/// Which rows and columns of a tile of the block are a thread's, and the first row of the block.
struct position final {
  int row, column;
  std::int64_t first_row;
};

/// sum += a' b over `count` rows of a and b in shared memory.
__device__ inline void add_product(const float* a, const float* b, int count, const position& p, tile& sum) {
  for (int n = 0; n < count; ++n) {
    const float4 a0 = *reinterpret_cast<const float4*>(a + n * pitch + p.row);
    const float4 a1 = *reinterpret_cast<const float4*>(a + n * pitch + p.row + 4);
    const float4 b0 = *reinterpret_cast<const float4*>(b + n * pitch + p.column);
    const float of_row[]{a0.x, a0.y, a0.z, a0.w, a1.x, a1.y, a1.z, a1.w}, of_column[]{b0.x, b0.y, b0.z, b0.w};
#pragma unroll
    for (int i = 0; i < rows_a_thread; ++i)
#pragma unroll
      for (int j = 0; j < columns_a_thread; ++j) sum[i][j] = fmaf(of_row[i], of_column[j], sum[i][j]);
  }
}

/// to[state, token] of 64 tokens and 32 states, 0 beyond the last. Eight states lie together in memory, and 32
/// neighbouring threads write to 32 banks.
__device__ inline void load_states(float* to, const float* from, std::int64_t first_token, std::int64_t tokens,
                                   std::int64_t token_step, std::int64_t first_state, std::int64_t states,
                                   std::int64_t state_step) {
  for (int i = threadIdx.x; i < side * states_a_time; i += threads) {
    const int n = i % 8 + i / (8 * side) * 8, t = i / 8 % side;
    const bool inside = first_token + t < tokens && first_state + n < states;
    to[n * pitch + t] = inside ? from[(first_token + t) * token_step + (first_state + n) * state_step] : 0;
  }
}

/// to[token, value] of 64 tokens; `from` is the first token of this thread's value, null if there is none.
__device__ inline void load_values(float* to, const float* from, std::int64_t first_token, std::int64_t tokens,
                                   std::int64_t token_step) {
  for (int i = threadIdx.x; i < side * side; i += threads) {
    const int t = i / side;
    const bool inside = from != nullptr && first_token + t < tokens;
    to[t * pitch + i % side] = inside ? from[(first_token + t) * token_step] : 0;
  }
}

/// The sums over the state of a tile; -infinity for pairs that do not meet.
template <bool Transposed>
__device__ inline void scores(const attention& a, const float* rows, const float* columns, const position& p,
                              std::int64_t first_column, std::int64_t last_column, float* shared, tile& s) {
  float *const of_rows = shared, *const of_columns = shared + states_a_time * pitch;
  for (int i = 0; i < rows_a_thread; ++i)
    for (int j = 0; j < columns_a_thread; ++j) s[i][j] = 0;
  for (std::int64_t n = 0; n < a.state_count; n += states_a_time) {
    __syncthreads();
    load_states(of_rows, rows, p.first_row, a.row_count, a.row_token, n, a.state_count, a.row_state);
    load_states(of_columns, columns, first_column, a.column_count, a.column_token, n, a.state_count, a.column_state);
    __syncthreads();
    add_product(of_rows, of_columns, static_cast<int>(min(a.state_count - n, static_cast<std::int64_t>(states_a_time))),
                p, s);
  }
  const std::int64_t row = p.first_row + p.row + a.past, column = first_column + p.column;
#pragma unroll
  for (int i = 0; i < rows_a_thread; ++i)
#pragma unroll
    for (int j = 0; j < columns_a_thread; ++j) {
      const std::int64_t lag = Transposed ? column + j - row - i : row + i - column - j;
      if (lag < 0 || lag >= a.window || column + j >= last_column) s[i][j] = -INFINITY;
    }
}

/// Running maxima and, of this thread's columns, sums of exponentials of each row.
struct running_rows final {
  float most[rows_a_thread], sum[rows_a_thread];
};

template <class F>
__device__ inline float over_row(float v, F f) {
  for (int lane = column_groups / 2; lane > 0; lane /= 2) v = f(v, __shfl_xor_sync(0xffffffffu, v, lane));
  return v;
}

/// Scores become weights relative to the running maximum; `faded` is what earlier sums are to be multiplied by.
__device__ inline void weigh_running(tile& s, running_rows& r, float (&faded)[rows_a_thread]) {
#pragma unroll
  for (int i = 0; i < rows_a_thread; ++i) {
    float most = fmaxf(fmaxf(s[i][0], s[i][1]), fmaxf(s[i][2], s[i][3]));
    most = fmaxf(r.most[i], over_row(most, [](float a, float b) { return fmaxf(a, b); }));
    const float from = most == -INFINITY ? 0 : most;  // nothing has been met so far
    faded[i] = expf(r.most[i] - from);
    r.most[i] = most;
    float sum = 0;
#pragma unroll
    for (int j = 0; j < columns_a_thread; ++j) sum += s[i][j] = expf(s[i][j] - from);
    r.sum[i] = fmaf(r.sum[i], faded[i], sum);
  }
}

/// The sums over whole rows in each of their threads.
__device__ inline void sum_rows(running_rows& r) {
#pragma unroll
  for (int i = 0; i < rows_a_thread; ++i) r.sum[i] = over_row(r.sum[i], [](float a, float b) { return a + b; });
}

/// The first and last column, exclusive, that meet rows [begin, end).
template <bool Transposed>
__device__ inline void columns_of(const attention& a, std::int64_t begin, std::int64_t end, std::int64_t& first,
                                  std::int64_t& last) {
  first = Transposed ? begin : max(a.past + begin - a.window + 1, static_cast<std::int64_t>(0));
  last = Transposed ? min(end - 1 + a.window, a.column_count) : a.past + end;
}

/// The maximum and the inverse sum of the exponentials of each row, [attention, row].
__global__ void __launch_bounds__(threads)
    row_sums(const attention a, unsigned row_tiles, float* most, float* inverse) {
  __shared__ __align__(16) float shared[2 * states_a_time * pitch];
  const std::uint64_t head = blockIdx.x / row_tiles;
  const position p{static_cast<int>(threadIdx.x) / column_groups * rows_a_thread,
                   static_cast<int>(threadIdx.x) % column_groups * columns_a_thread,
                   static_cast<std::int64_t>(row_tiles - 1 - blockIdx.x % row_tiles) * side};
  const auto at = places_of(a.heads, head);
  std::int64_t first, last;
  columns_of<false>(a, p.first_row, min(p.first_row + side, a.row_count), first, last);
  running_rows r;
  for (int i = 0; i < rows_a_thread; ++i) r.most[i] = -INFINITY, r.sum[i] = 0;
  for (std::int64_t column = first; column < last; column += side) {
    tile s;
    scores<false>(a, a.rows + at.at[0], a.columns + at.at[1], p, column, last, shared, s);
    float faded[rows_a_thread];
    weigh_running(s, r, faded);
  }
  sum_rows(r);
#pragma unroll
  for (int i = 0; i < rows_a_thread; ++i) {
    const std::int64_t row = p.first_row + p.row + i;
    if (p.column != 0 || row >= a.row_count) continue;
    most[head * a.row_count + row] = r.most[i];
    inverse[head * a.row_count + row] = 1 / r.sum[i];
  }
}

/// Scores become weights by the maxima and inverse sums of their columns.
__device__ inline void weigh_given(tile& s, const float* most, const float* inverse, std::int64_t column,
                                   std::int64_t columns) {
#pragma unroll
  for (int j = 0; j < columns_a_thread; ++j) {
    const bool inside = column + j < columns;
    const float m = inside ? most[column + j] : 0, by = inside ? inverse[column + j] : 0;
#pragma unroll
    for (int i = 0; i < rows_a_thread; ++i) s[i][j] = expf(s[i][j] - m) * by;
  }
}

/// Calls f(i, j, row, value) for the entries of a thread that exist.
template <class F>
__device__ inline void for_entries(const attention& a, const position& p, std::uint64_t first_value, F f) {
#pragma unroll
  for (int j = 0; j < columns_a_thread; ++j)
#pragma unroll
    for (int i = 0; i < rows_a_thread; ++i) {
      const std::uint64_t value = first_value + p.column + j;
      const std::int64_t row = p.first_row + p.row + i;
      if (value < a.values.entries && row < a.row_count) f(i, j, row, value);
    }
}

/// What the blocks of a grid are: tiles of rows, then of values, then attentions, then parts of the columns of a row.
struct shares final {
  unsigned row_tiles, value_tiles, parts;
  std::int64_t columns_a_part;
};
/// The softmax of rows, or of columns where it is given, [attention, row or column].
struct softmax final {
  const float *most, *inverse;
};
/// Of each part, the maxima and sums of the weights, [part, attention, row], and the sums of values, [.., value].
struct partial final {
  float *most, *sum, *y;
};

template <weighting By>
__device__ inline void store(const attention& a, const position& p, const tile& y, const running_rows& r, float* to,
                             std::uint64_t first_value) {
  for_entries(a, p, first_value, [&](int i, int j, std::int64_t row, std::uint64_t value) {
    to[places_of(a.values, value).at[1] + row * a.y_token] = By == weighting::running ? y[i][j] / r.sum[i] : y[i][j];
  });
}
/// @param which  the part and the attention
__device__ inline void store_part(const attention& a, const position& p, const tile& y, const running_rows& r,
                                  const partial& to, std::uint64_t which, std::uint64_t first_value) {
  for_entries(a, p, first_value, [&](int i, int j, std::int64_t row, std::uint64_t value) {
    const std::uint64_t at = which * a.row_count + row;
    to.y[at * a.values.entries + value] = y[i][j];
    if (value == 0) to.most[at] = r.most[i], to.sum[at] = r.sum[i];
  });
}

/// 64 rows of 64 values of one attention, of one part of their columns.
template <bool Transposed, weighting By>
__global__ void __launch_bounds__(threads, 3)
    weighted_sums(const attention a, const shares blocks, const softmax given, const partial to) {
  __shared__ __align__(16) float shared[side * pitch], weights[side * pitch];
  std::uint64_t block = blockIdx.x;
  const auto next = [&block](std::uint64_t count) {
    const std::uint64_t here = block % count;
    block /= count;
    return here;
  };
  // The longest rows come first.
  const auto row_tile = static_cast<std::int64_t>(next(blocks.row_tiles));
  const std::int64_t first_row = (Transposed ? row_tile : blocks.row_tiles - 1 - row_tile) * side;
  const std::uint64_t first_value = next(blocks.value_tiles) * side, head = next(a.heads.entries), part = block;
  const position p{static_cast<int>(threadIdx.x) / column_groups * rows_a_thread,
                   static_cast<int>(threadIdx.x) % column_groups * columns_a_thread, first_row};
  const auto at = places_of(a.heads, head);
  const std::uint64_t value = first_value + threadIdx.x % side;
  const float* const x = value < a.values.entries ? a.x + at.at[2] + places_of(a.values, value).at[0] : nullptr;
  std::int64_t first, last;
  columns_of<Transposed>(a, p.first_row, min(p.first_row + side, a.row_count), first, last);
  first += static_cast<std::int64_t>(part) * blocks.columns_a_part;
  last = min(last, first + blocks.columns_a_part);

  running_rows r;
  tile y{};
  for (int i = 0; i < rows_a_thread; ++i) r.most[i] = By == weighting::running ? -INFINITY : 0, r.sum[i] = 0;
  for (std::int64_t column = first; column < last; column += side) {
    tile s;
    scores<Transposed>(a, a.rows + at.at[0], a.columns + at.at[1], p, column, last, shared, s);
    float faded[rows_a_thread];
    if constexpr (By == weighting::running) {
      weigh_running(s, r, faded);
    } else if constexpr (By == weighting::given) {
      const std::int64_t of = head * a.column_count;
      weigh_given(s, given.most + of, given.inverse + of, column + p.column, a.column_count);
    } else {
      for (auto& row : s)
        for (float& w : row) w = expf(w);
    }
#pragma unroll
    for (int j = 0; j < columns_a_thread; ++j)
#pragma unroll
      for (int i = 0; i < rows_a_thread; ++i) weights[(p.column + j) * pitch + p.row + i] = s[i][j];
    __syncthreads();  // the states have been read
    load_values(shared, x, column, a.column_count, a.x_token);
    __syncthreads();
    tile here{};  // sums of the sums of tiles: thousands of tokens round as dozens do
    add_product(weights, shared, side, p, here);
#pragma unroll
    for (int i = 0; i < rows_a_thread; ++i)
#pragma unroll
      for (int j = 0; j < columns_a_thread; ++j)
        y[i][j] = By == weighting::running ? fmaf(y[i][j], faded[i], here[i][j]) : y[i][j] + here[i][j];
  }
  if constexpr (By == weighting::running) sum_rows(r);
  if (blocks.parts == 1)
    store<By>(a, p, y, r, a.y + at.at[3], first_value);
  else
    store_part(a, p, y, r, to, part * a.heads.entries + head, first_value);
}

/// The sum of what the parts of a row have found, relative to the greatest of their maxima.
__global__ void joined(const attention a, unsigned parts, bool normalised, const partial from) {
  const std::uint64_t rows = a.heads.entries * a.row_count;
  const std::uint64_t i = static_cast<std::uint64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i >= rows * a.values.entries) return;
  const std::uint64_t v = i % a.values.entries, row = i / a.values.entries;
  float most = -INFINITY, sum = 0, y = 0;
  for (unsigned part = 0; part < parts; ++part) most = fmaxf(most, from.most[part * rows + row]);
  for (unsigned part = 0; part < parts; ++part) {
    const float by = expf(from.most[part * rows + row] - most);
    sum = fmaf(by, from.sum[part * rows + row], sum);
    y = fmaf(by, from.y[(part * rows + row) * a.values.entries + v], y);
  }
  const std::uint64_t head = row / a.row_count, t = row % a.row_count;
  a.y[places_of(a.heads, head).at[3] + places_of(a.values, v).at[1] + t * a.y_token] = normalised ? y / sum : y;
}

unsigned tiles(std::uint64_t n) { return static_cast<unsigned>((n + side - 1) / side); }

/// As many parts as give the card enough blocks.
template <bool Transposed>
shares shared_out(const attention& a) {
  constexpr std::uint64_t enough_blocks = 264;
  shares s{tiles(a.row_count), tiles(a.values.entries), 1, a.column_count};
  const std::uint64_t blocks = s.row_tiles * s.value_tiles * a.heads.entries;
  const std::int64_t most_columns = std::min(a.column_count, a.window + side);
  if (Transposed || blocks >= enough_blocks) return s;
  const std::uint64_t parts = std::min<std::uint64_t>((enough_blocks + blocks - 1) / blocks, tiles(most_columns));
  s.columns_a_part = static_cast<std::int64_t>(tiles((most_columns + parts - 1) / parts)) * side;
  s.parts = static_cast<unsigned>((most_columns + s.columns_a_part - 1) / s.columns_a_part);
  return s;
}

template <bool Transposed, weighting By>
void weigh(const attention& a, const softmax& given = {}) {
  const shares s = shared_out<Transposed>(a);
  const std::size_t rows = a.heads.entries * a.row_count, all = s.parts == 1 ? 1 : s.parts * rows;
  const scratch<float> most(all), sum(all), y(s.parts == 1 ? 1 : all * a.values.entries);
  const partial parts{most.data(), sum.data(), y.data()};
  launch(weighted_sums<Transposed, By>,
         dim3(static_cast<unsigned>(s.row_tiles * s.value_tiles * a.heads.entries * s.parts)), dim3(threads), 0, a, s,
         given, parts);
  if (s.parts > 1)
    launch(joined, blocks_for(rows * a.values.entries, threads), dim3(threads), 0, a, s.parts, By == weighting::running,
           parts);
}

/// @param rows  q for y_t, k for the transpose; `past` columns come before the first row
attention attention_of(in rows, in columns, std::size_t past, std::size_t window, in x, out y) {
  extents heads = alphaform::together(rows.size, columns.size), values = y.size;
  at(heads, time) = at(heads, axis::state) = at(values, time) = 1;
  for (std::size_t a = 0; a < axis_count; ++a)
    if (heads[a] > 1) values[a] = 1;
  const auto step = [](const auto& v, axis a) { return static_cast<std::int64_t>(v.step(a)); };
  return {.heads = layout_of(heads, rows, columns, x, y),
          .values = layout_of(values, x, y),
          .row_count = static_cast<std::int64_t>(y.of(time)),
          .column_count = static_cast<std::int64_t>(y.of(time) + past),
          .state_count = static_cast<std::int64_t>(std::max(rows.of(axis::state), columns.of(axis::state))),
          .past = static_cast<std::int64_t>(past),
          .window = static_cast<std::int64_t>(std::min(window, y.of(time) + past)),
          .row_token = step(rows, time),
          .row_state = step(rows, axis::state),
          .column_token = step(columns, time),
          .column_state = step(columns, axis::state),
          .x_token = step(x, time),
          .y_token = step(y, time),
          .rows = rows.data,
          .columns = columns.data,
          .x = x.data,
          .y = y.data};
}

}  // namespace

void attend(in q, in k, bool normalised, std::size_t window, in x, out y) {
  if (volume(y.size) == 0) return;
  const attention a = attention_of(q, k, x.of(time) - y.of(time), window, x, y);
  normalised ? weigh<false, weighting::running>(a) : weigh<false, weighting::plain>(a);
}

void attend_adjoint(in q, in k, bool normalised, std::size_t window, in g, out y) {
  if (volume(y.size) == 0) return;
  const attention a = attention_of(k, q, 0, window, g, y);
  if (!normalised) return weigh<true, weighting::plain>(a);
  const std::size_t rows = a.heads.entries * y.of(time);
  const scratch<float> most(rows), inverse(rows);
  const unsigned row_tiles = tiles(y.of(time));
  launch(row_sums, dim3(static_cast<unsigned>(row_tiles * a.heads.entries)), dim3(threads), 0,
         attention_of(q, k, 0, window, g, y), row_tiles, most.data(), inverse.data());
  weigh<true, weighting::given>(a, {most.data(), inverse.data()});
}

}  // namespace alphaform::cuda
