// Tiles of a map as products over the states of a channel on tensor cores. Sums over channels have factors of two
// bfloat16 numbers, whose errors many lines average, and are added by others every few channels, as the cores cut off
// what they add. Other channels are taken one by one: their factors are of two TF32 numbers.
#include <cuda_bf16.h>

#include <alphaform/backends/cuda/maps/direct.cuh>
#include <alphaform/backends/cuda/shared_memory.cuh>
#include <alphaform/backends/cuda/tf32.cuh>
#include <type_traits>

namespace alphaform::cuda::maps {
namespace {

constexpr unsigned threads = 256, states = most_direct_states, some_tokens = 8, channels_of_a_sum = 8;
constexpr unsigned most_parts = 28u << 20;  // bytes

/// How the eight warps of a block share tiles of so many tokens: several groups, of which each has other channels.
template <unsigned Tile>
struct shape final {
  // A warp's products of 16 x 8 entries.
  static constexpr unsigned tall = Tile == 16 ? 1 : 2, wide = Tile == 16 ? 2 : Tile == 128 ? 8 : 4;
  static constexpr unsigned across = Tile / (8 * wide), warps = Tile / (16 * tall) * across, groups = 8 / warps;
  static constexpr unsigned group_threads = 32 * warps, columns = Tile + most_direct_reach;
  static constexpr unsigned items = 2 * Tile;  // of eight tokens and two states: rows, then columns
};

/// Where a token's numbers lie: rows of eight tokens, and these among each other, begin on different banks.
template <unsigned Row, unsigned Extra>
__device__ constexpr unsigned place_of(unsigned token) {
  return token * Row + token / 8 * Extra;
}
/// One factor of a product as large parts and what these lack, [token][state].
template <unsigned Tile>
class halves final {
  static constexpr unsigned row = states + 8, extra = 16;
  __nv_bfloat16 large_[place_of<row, extra>(Tile)], small_[place_of<row, extra>(Tile)];

 public:
  __device__ void keep(unsigned token, unsigned state, float x, float y) {
    const __nv_bfloat162 both = __floats2bfloat162_rn(x, y);
    const float2 kept = __bfloat1622float2(both);
    const unsigned at = place_of<row, extra>(token) + state;
    *reinterpret_cast<__nv_bfloat162*>(large_ + at) = both;
    *reinterpret_cast<__nv_bfloat162*>(small_ + at) = __floats2bfloat162_rn(x - kept.x, y - kept.y);
  }
  __device__ const __nv_bfloat16* large(unsigned token, unsigned state) const {
    return large_ + place_of<row, extra>(token) + state;
  }
  __device__ const __nv_bfloat16* small(unsigned token, unsigned state) const {
    return small_ + place_of<row, extra>(token) + state;
  }
};
/// One in float32.
template <unsigned Tile>
struct numbers final {
  static constexpr unsigned row = states + 4;  // rows of four numbers fall on different banks
  float at[Tile][row];

  __device__ void keep(unsigned token, unsigned state, float x, float y) {
    *reinterpret_cast<float2*>(&at[token][state]) = {x, y};
  }
};

/// What a channel has at each token of a tile: x, the distance from the tile's first row, and y, a factor.
template <unsigned Tile>
struct tokens_of_channel final {
  alignas(16) float taps[4];
  float2 rows[Tile], columns[shape<Tile>::columns + 1];
};
/// Vectors of states that all channels share.
template <unsigned Tokens>
class vectors_of_states final {
  static constexpr unsigned extra = 16;
  float at_[place_of<states, extra>(Tokens + 8)];

 public:
  __device__ float* operator[](unsigned token) { return at_ + place_of<states, extra>(token); }
};
template <unsigned Tile, class Factor>
struct group_memory final {
  Factor rows, columns;
  tokens_of_channel<Tile> tokens;
};
template <unsigned Tile, class Factor>
struct working_memory final {
  group_memory<Tile, Factor> groups[shape<Tile>::groups];
  vectors_of_states<Tile> reads;
  vectors_of_states<shape<Tile>::columns> writes;
};

/// The first row and column of a tile.
struct corner final {
  unsigned row, column;
};
template <unsigned Tile>
__device__ corner corner_of(unsigned tile) {
  if constexpr (Tile < 2 * chunk) return {(2 * tile + 1) * Tile, 2 * tile * Tile};
  // Tiles are counted row by row: row r > 0 has the numbers from r (r - 1) / 2 on.
  auto r = static_cast<unsigned>((1.0f + sqrtf(1.0f + 8.0f * static_cast<float>(tile))) / 2.0f);
  while (r * (r - 1) / 2 > tile) --r;
  while (r * (r + 1) / 2 <= tile) ++r;
  return {r * Tile, (tile - r * (r - 1) / 2) * Tile};
}

__device__ void load_fragment(unsigned (&to)[4], const __nv_bfloat16* from) {
  const auto at = static_cast<unsigned>(__cvta_generic_to_shared(from));
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
               : "r"(at)
               : "memory");
}
__device__ void multiply(float (&sum)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
      "{%0, %1, %2, %3};"
      : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

/// What a warp sums up, 16 x 8 entries at a time: the same places as those of tf32::tile.
template <unsigned Tile>
class sums_of_halves final {
  static constexpr unsigned tall = shape<Tile>::tall, wide = shape<Tile>::wide;

 public:
  using factor = halves<Tile>;
  __device__ sums_of_halves() { clear(); }
  __device__ void clear() {
    each([](float& entry, unsigned) { entry = 0; });
  }
  /// Calls f(entry, its number).
  template <class F>
  __device__ void each(F f) {
#pragma unroll
    for (unsigned i = 0; i < tall; ++i)
#pragma unroll
      for (unsigned k = 0; k < wide; ++k)
#pragma unroll
        for (unsigned e = 0; e < 4; ++e) f(at_[i][k][e], (i * wide + k) * 4 + e);
  }
  __device__ void add_product(const factor& rows, const factor& columns, unsigned row, unsigned column) {
    const unsigned lane = threadIdx.x % 32;
    unsigned large[tall][4], small[tall][4];
#pragma unroll
    for (unsigned i = 0; i < tall; ++i) {
      load_fragment(large[i], rows.large(row + 16 * i + lane % 16, lane / 16 * 8));
      load_fragment(small[i], rows.small(row + 16 * i + lane % 16, lane / 16 * 8));
    }
#pragma unroll
    for (unsigned k = 0; k < wide; k += 2) {
      const unsigned s = column + 8 * k + lane % 8 + lane / 16 * 8, n = lane / 8 % 2 * 8;
      unsigned other[4], rest[4];
      load_fragment(other, columns.large(s, n));
      load_fragment(rest, columns.small(s, n));
#pragma unroll
      for (unsigned j = 0; j < 2; ++j)
#pragma unroll
        for (unsigned i = 0; i < tall; ++i) {
          multiply(at_[i][k + j], small[i], other[2 * j], other[2 * j + 1]);
          multiply(at_[i][k + j], large[i], rest[2 * j], rest[2 * j + 1]);
          multiply(at_[i][k + j], large[i], other[2 * j], other[2 * j + 1]);
        }
    }
  }

 private:
  float at_[tall][wide][4];
};

template <unsigned Tile>
class sums_of_numbers final {
 public:
  using factor = numbers<Tile>;
  __device__ void clear() { sums_.clear(); }
  template <class F>
  __device__ void each(F f) {
    sums_.each(f);
  }
  __device__ void add_product(const factor& rows, const factor& columns, unsigned row, unsigned column) {
    constexpr unsigned apart = factor::row;
    sums_.template add<states>(by_rows<apart>(rows.at[row]), by_columns<apart>(columns.at[column]));
  }

 private:
  tf32::tile<shape<Tile>::tall, shape<Tile>::wide> sums_;
};

/// A thread's entries that are taken over channels: in registers, or, where sums leave none, in shared memory.
template <unsigned Count>
struct kept_in_registers final {
  float at[Count];
  __device__ float& operator[](unsigned k) { return at[k]; }
};
struct kept_in_memory final {
  float* own;
  __device__ float& operator[](unsigned k) { return own[k * threads]; }
};

/// What a thread brings for a channel, as it lies in memory: nothing waits for it before it is needed.
template <unsigned Loads>
struct brought final {
  double origin, sum[Loads];
  resets_of_32 resets_at_origin, resets[Loads];
  float factor[Loads], rates[2], tap, weight;
  bool exists;
};

template <unsigned Tile, over_channels Over>
class tile_of_map final {
  using of = shape<Tile>;
  static constexpr bool sums = Over == over_channels::sum, keeps_in_memory = sums && Tile == 2 * chunk;
  static constexpr unsigned tokens = Tile + of::columns, loads = (tokens + of::group_threads - 1) / of::group_threads,
                            count = 4 * of::tall * of::wide;
  using sums_type = std::conditional_t<sums, sums_of_halves<Tile>, sums_of_numbers<Tile>>;
  using factor = typename sums_type::factor;
  using memory = working_memory<Tile, factor>;

 public:
  static constexpr std::size_t bytes =
      std::max(sizeof(memory), of::groups* Tile* Tile * sizeof(float) * (of::groups > 1)) +
      (keeps_in_memory ? count * threads * sizeof(float) : 0);
  static constexpr unsigned blocks_together = sums || Tile != 2 * chunk ? 2 : 1;
  /// Of blocks that run together.
  static constexpr unsigned waves = Tile != 2 * chunk ? 2 : sums ? 1 : 3;

  __device__ tile_of_map(const direct& d, unsigned char* shared)
      : d_(d),
        m_(d.m),
        corner_(corner_of<Tile>(blockIdx.x)),
        group_(threadIdx.x / of::group_threads),
        thread_(threadIdx.x % of::group_threads),
        shared_(*reinterpret_cast<memory*>(shared)),
        own_(shared_.groups[group_]) {
    if constexpr (keeps_in_memory) all_.own = reinterpret_cast<float*>(shared + sizeof(memory)) + threadIdx.x;
#pragma unroll
    for (unsigned k = 0; k < count; ++k) all_[k] = nothing_taken(Over);
  }

  /// The channels [begin, end), those of a group so many apart.
  __device__ void take(unsigned begin, unsigned end) {
    load_states();
    __syncthreads();
    brought<loads> next;
    bring(begin + group_, end, next);
    unsigned turn = 0;
    for (unsigned first = begin; first < end; first += of::groups, ++turn) {
      const unsigned c = first + group_;
      keep(next);
      const float weight = next.weight;
      const float rates[2]{rate_of(next.rates[0]), rate_of(next.rates[1])};
      wait_for_group();
      make(rates);
      wait_for_group();
      bring(c + of::groups, end, next);
      sum_.add_product(own_.rows, own_.columns, row(), column());
      if (sums ? turn % channels_of_a_sum == channels_of_a_sum - 1 : c < end) take_sum(sums ? 1 : weight);
    }
    if (sums) take_sum(1);
  }
  __device__ void put() {
    float* to = d_.parts;
    if constexpr (of::groups > 1) to = reinterpret_cast<float*>(&shared_);
    if (of::groups > 1) __syncthreads();
    const std::size_t part = of::groups > 1 ? group_ : part_of_block();
    sum_.each([&](float&, unsigned k) {
      const unsigned lane = threadIdx.x % 32, i = k / (4 * of::wide), j = k / 4 % of::wide, e = k % 4;
      const unsigned t = row() + 16 * i + lane / 4 + e / 2 * 8, s = column() + 8 * j + lane % 4 * 2 + e % 2;
      if (to == nullptr)
        put_entry(d_, corner_, t, s, all_[k]);
      else
        to[(part * Tile + t) * Tile + s] = all_[k];
    });
    if constexpr (of::groups > 1) {
      __syncthreads();
      for (unsigned i = threadIdx.x; i < Tile * Tile; i += threads) {
        float x = to[i];
#pragma unroll
        for (unsigned g = 1; g < of::groups; ++g) x = together(Over, x, to[g * Tile * Tile + i]);
        if (d_.parts == nullptr)
          put_entry(d_, corner_, i / Tile, i % Tile, x);
        else
          d_.parts[part_of_block() * Tile * Tile + i] = x;
      }
    }
  }
  __device__ static void put_entry(const direct& d, corner at, unsigned row, unsigned column, float x) {
    const unsigned t = at.row + row, s = at.column + column;
    if (t >= d.m.tokens || s < d.m.reach) return;
    float& entry = d.map(t, s - d.m.reach);
    entry = together(d.m.over, entry, x);
  }

 private:
  __device__ std::size_t part_of_block() const { return static_cast<std::size_t>(blockIdx.y) * gridDim.x + blockIdx.x; }
  __device__ unsigned row() const { return thread_ / 32 / of::across * 16 * of::tall; }
  __device__ unsigned column() const { return thread_ / 32 % of::across * 8 * of::wide; }
  /// The token of a column of the panel: columns lie `reach` tokens before those of the tile.
  __device__ unsigned token_of(unsigned column) const { return corner_.column + column - m_.reach; }
  __device__ bool has_column(unsigned column) const {
    return corner_.column + column >= m_.reach && column < Tile + m_.reach && token_of(column) < m_.tokens;
  }

  __device__ void wait_for_group() const {
    if constexpr (of::group_threads == 32)
      __syncwarp();
    else if constexpr (of::groups == 1)
      __syncthreads();
    else
      asm volatile("bar.sync %0, %1;" ::"r"(group_ + 1), "n"(of::group_threads) : "memory");
  }
  __device__ void load_states() {
    for (unsigned e = threadIdx.x; e < tokens * states; e += threads) {
      const unsigned k = e / states, n = e % states;
      if (k < Tile) {
        const unsigned t = corner_.row + k;
        shared_.reads[k][n] = t < m_.tokens && n < m_.states ? m_.read_state(t, 0, n) : 0;
      } else {
        const unsigned s = k - Tile;
        shared_.writes[s][n] = has_column(s) && n < m_.states ? m_.write_state(token_of(s), 0, n) : 0;
      }
    }
  }
  /// Is there a token for a thread's number k, and which?
  __device__ bool token_at(unsigned k, unsigned& token) const {
    const unsigned i = thread_ + k * of::group_threads;
    token = i < Tile ? corner_.row + i : token_of(i - Tile);
    return i < Tile ? token < m_.tokens : has_column(i - Tile);
  }
  __device__ bool is_row(unsigned k) const { return thread_ + k * of::group_threads < Tile; }
  /// The token up to which decays are summed for number k, of token t; and for the tile's first row.
  __device__ unsigned behind(unsigned k, unsigned t) const { return t + (!is_row(k) || !m_.exclusive); }
  __device__ unsigned origin() const { return min(corner_.row, m_.tokens); }

  /// Most threads have one number less than others.
  __device__ bool is_spare(unsigned k) const { return k + 1 == loads && thread_ + k * of::group_threads >= tokens; }

  /// Of channel c, or of another one where there is none: its factors are then 0.
  __device__ void bring(unsigned c, unsigned end, brought<loads>& to) const {
    to.exists = c < end;
    if (!to.exists) c = d_.first_channel;
    const std::size_t line = d_.line(c);
    to.origin = d_.sums[line + origin()];
    const resets_of_32* const resets = d_.resets + d_.resets_line(c);
    to.resets_at_origin = resets[origin() / 32];
#pragma unroll
    for (unsigned k = 0; k < loads; ++k) {
      if (is_spare(k)) continue;
      unsigned t;
      if (!token_at(k, t)) t = 0;
      const unsigned until = behind(k, t);
      to.sum[k] = d_.sums[line + until];
      to.resets[k] = resets[until / 32];
      to.factor[k] = is_row(k) ? m_.read(t, c) : m_.write(t, c);
    }
    const unsigned n = thread_ % (states / 2) * 2;
#pragma unroll
    for (unsigned j = 0; j < 2; ++j) to.rates[j] = n + j < m_.states ? m_.decay_state(0, c, n + j) : 0;
    to.weight = m_.weight(c);
    to.tap = thread_ <= m_.reach ? m_.tap(c, thread_) : 0;
  }
  /// For all threads of the group.
  __device__ void keep(const brought<loads>& from) {
#pragma unroll
    for (unsigned k = 0; k < loads; ++k) {
      if (is_spare(k)) continue;
      const unsigned i = thread_ + k * of::group_threads;
      unsigned t;
      float2 x{0, 0};
      if (token_at(k, t) && from.exists) {
        const bool is_reset = from.resets[k].until(behind(k, t)) != from.resets_at_origin.until(origin());
        x.x = is_reset ? most_of_sum : fabsf(static_cast<float>(from.sum[k] - from.origin));
        x.y = from.factor[k] * (sums && i < Tile ? from.weight : 1);
      }
      if (i < Tile)
        own_.tokens.rows[i] = x;
      else
        own_.tokens.columns[i - Tile] = x;
    }
    if (thread_ < 4) own_.tokens.taps[thread_] = from.tap;
  }
  /// The factors of the product: two states of eight tokens at a time.
  __device__ void make(const float (&rates)[2]) {
#pragma unroll
    for (unsigned item = thread_; item < of::items; item += of::group_threads) {
      const unsigned n = item % (states / 2) * 2, first = item / (states / 2) * some_tokens;
      first < Tile ? make_rows(first, n, rates) : make_columns(first - Tile, n, rates);
    }
  }
  __device__ void make_rows(unsigned first, unsigned n, const float (&rates)[2]) {
#pragma unroll
    for (unsigned i = 0; i < some_tokens; ++i) {
      const float2 token = own_.tokens.rows[first + i];
      const auto read = *reinterpret_cast<const float2*>(&shared_.reads[first + i][n]);
      own_.rows.keep(first + i, n, token.y * read.x * decay_over(rates[0], token.x),
                     token.y * read.y * decay_over(rates[1], token.x));
    }
  }
  __device__ void make_columns(unsigned first, unsigned n, const float (&rates)[2]) {
    const auto write = [&](unsigned s) {
      const float2 token = own_.tokens.columns[s];
      const auto by = *reinterpret_cast<const float2*>(&shared_.writes[s][n]);
      return float2{token.y * by.x * decay_over(rates[0], token.x), token.y * by.y * decay_over(rates[1], token.x)};
    };
    const float4 taps = *reinterpret_cast<const float4*>(own_.tokens.taps);
    const auto filtered = [&](float a, float b, float c, float e) {
      return fmaf(taps.w, e, fmaf(taps.z, c, fmaf(taps.y, b, taps.x * a)));
    };
    // Columns behind the last one are 0, as are the taps for them.
    float2 x0 = write(first), x1 = write(first + 1), x2 = write(first + 2);
#pragma unroll
    for (unsigned i = 0; i < some_tokens; ++i) {
      const float2 x3 = write(first + i + 3);
      own_.columns.keep(first + i, n, filtered(x0.x, x1.x, x2.x, x3.x), filtered(x0.y, x1.y, x2.y, x3.y));
      x0 = x1, x1 = x2, x2 = x3;
    }
  }
  __device__ void take_sum(float weight) {
    sum_.each([&](float& x, unsigned k) { all_[k] = taken(Over, weight, x, all_[k]); });
    sum_.clear();
  }

  const direct& d_;
  const channels& m_;
  corner corner_;
  unsigned group_, thread_;
  memory& shared_;
  group_memory<Tile, factor>& own_;
  sums_type sum_;
  std::conditional_t<keeps_in_memory, kept_in_memory, kept_in_registers<count>> all_;
};

template <unsigned Tile, over_channels Over>
__global__ void __launch_bounds__(threads, tile_of_map<Tile, Over>::blocks_together)
    multiply_tiles(const direct d, unsigned channels_each) {
  const unsigned begin = d.first_channel + blockIdx.y * channels_each;
  tile_of_map<Tile, Over> tile(d, shared_memory<unsigned char>());
  tile.take(begin, min(d.last_channel, begin + channels_each));
  tile.put();
}

/// The parts of each entry, in order, to the map.
template <unsigned Tile>
__global__ void add_tile_parts(const direct d, unsigned splits) {
  const unsigned i = blockIdx.y * blockDim.x + threadIdx.x;
  const float* part = d.parts + static_cast<std::size_t>(blockIdx.x) * Tile * Tile + i;
  float x = *part;
#pragma unroll 8
  for (unsigned k = 1; k < splits; ++k)
    x = together(d.m.over, x, part[static_cast<std::size_t>(k) * gridDim.x * Tile * Tile]);
  tile_of_map<Tile, over_channels::sum>::put_entry(d, corner_of<Tile>(blockIdx.x), i / Tile, i % Tile, x);
}

template <unsigned Tile, over_channels Over>
void add_tiles(direct d) {
  using tile = tile_of_map<Tile, Over>;
  const unsigned pairs = (d.m.tokens + 2 * Tile - 1) / (2 * Tile), sides = (d.m.tokens + Tile - 1) / Tile,
                 tiles = Tile == 2 * chunk ? sides * (sides - 1) / 2 : pairs;
  if (tiles == 0) return;
  const unsigned channels = d.last_channel - d.first_channel,
                 slots = static_cast<unsigned>(processors()) * tile::blocks_together * tile::waves,
                 room = static_cast<unsigned>(most_parts / (sizeof(float) * Tile * Tile)) / tiles,
                 most = (channels + shape<Tile>::groups - 1) / shape<Tile>::groups,
                 wanted = std::clamp(std::min(slots / tiles, room), 1u, most), each = (channels + wanted - 1) / wanted,
                 splits = (channels + each - 1) / each;
  const auto kernel = multiply_tiles<Tile, Over>;
  check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, tile::bytes),
        "share memory in blocks");
  const scratch<float> parts(splits > 1 ? static_cast<std::size_t>(splits) * tiles * Tile * Tile : 1);
  d.parts = splits > 1 ? parts.data() : nullptr;
  launch(kernel, dim3(tiles, splits), dim3(threads), tile::bytes, d, each);
  if (splits > 1) launch(add_tile_parts<Tile>, dim3(tiles, Tile * Tile / 256), dim3(256), 0, d, splits);
}
template <over_channels Over>
void add_sizes(const direct& d) {
  add_tiles<128, Over>(d);
  add_tiles<64, Over>(d);
  add_tiles<32, Over>(d);
  add_tiles<16, Over>(d);
}

}  // namespace

void add_direct_tiles(direct d) {
  using over = over_channels;
  switch (d.m.over) {
    case over::sum:
      return add_sizes<over::sum>(d);
    case over::absolute:
      return add_sizes<over::absolute>(d);
    case over::positive:
      return add_sizes<over::positive>(d);
    default:
      return add_sizes<over::maximum>(d);
  }
}

}  // namespace alphaform::cuda::maps
