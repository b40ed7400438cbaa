// The sums of a gradient over one tile: each pair of a lane and a state goes through its tokens forward and backward
// and leaves what is summed in shared memory; each sum then has threads for what it keeps. Sums over more than a tile
// leave parts, which are added up in a fixed order.
#pragma once
#include <alphaform/backends/cuda/gradient/states.cuh>
#include <alphaform/backends/cuda/shared_memory.cuh>
#include <alphaform/backends/kernels.hpp>

namespace alphaform::cuda {

constexpr int most_sums = 8, products_at_once = 3;  ///< of one pass

struct tiled_sum final {
  tiled<const float> u, v;
  tiled<float> to;
  float* parts;  ///< [chunk, tile, what is kept of a tile], unless a tile has all
  int product;
  bool times_back;  ///< the product lacks the factor g
  bool keeps_tokens, keeps_states, keeps_lanes;
  bool adds;     ///< to what is there
  float lowest;  ///< of its weight's factors: those of decays are finite, as 0 times -infinity is 0
};
/// Products are what is written, what is decayed or kept, and what is read, now or before.
struct tiled_sums final {
  int count;
  bool kept, read_before;
  tiled_sum sum[most_sums];
};

/// [product][token, state, lane] of a tile; before there are products, changes of decays and states.
template <class Shape, bool Varying>
__device__ void fill_products(const tiled_recurrence& r, const tiled_sums& sums, const tile_place& p,
                              const staged_tile<Shape>& staged, const float* before, const float* behind,
                              float* products) {
  const float largest = largest_change(r.logarithmic);
  float *const changes = products, *const states = products + Shape::numbers;
#pragma unroll 1
  for (int j = 0; j < Shape::pairs_each; ++j) {
    const int number = static_cast<int>(threadIdx.x) + j * tile_threads;
    const tile_pair<Shape, Varying> pair(r, p, staged, number);
    if (pair.idle) continue;
    const std::uint64_t from = std::uint64_t{blockIdx.x} * Shape::pairs + number;
    const float first = before[from];
    const auto place = [&](int t) { return (t * Shape::states + pair.state) * Shape::row + pair.lane; };
    float h = first, z = behind[from];
#pragma unroll 4
    for (int t = 0; t < p.tokens; ++t) {
      const float decay = pair.at(r, staged, term::decay, t);
      const float change = r.logarithmic ? change_of(decay) : decay;
      h = faded(change, largest, h) + pair.at(r, staged, term::write, t);
      changes[place(t)] = change;
      states[place(t)] = h;
    }
#pragma unroll 4
    for (int t = p.tokens - 1; t >= 0; --t) {
      const float change = changes[place(t)], last = t > 0 ? states[place(t - 1)] : first;
      const float read = pair.at(r, staged, term::read, t);
      if (!r.exclusive) z += read;
      const float here = z, after = h;
      z = faded(change, largest, z);
      if (r.exclusive) z += read;
      h = last;
      products[place(t)] = here;
      products[Shape::numbers + place(t)] = here * (sums.kept ? last : faded(change, largest, last));
      products[2 * Shape::numbers + place(t)] = sums.read_before ? last : after;
    }
  }
}

/// A factor of a sum's weight along one axis of a tile.
struct weight_factor final {
  const float* at;  ///< null if there is none
  std::int64_t step;
  float lowest;  ///< in place of -infinity where 0 times it counts as 0

  __device__ bool varies() const { return at != nullptr && step != 0; }
  __device__ float finite(float x) const { return fmaxf(x, lowest); }
  __device__ float fixed() const { return at != nullptr && step == 0 ? finite(__ldg(at)) : 1; }
  __device__ float of(int i) const { return varies() ? finite(__ldg(at + i * step)) : 1; }
};
/// Of entries begin, begin + Every ... of one axis.
template <int Step, int Every>
__device__ inline float sum_along(const float* product, int begin, int end, weight_factor u, weight_factor v,
                                  weight_factor g) {
  const int varying = u.varies() + v.varies() + g.varies();
  float sum = 0;
  if (varying == 0) {
#pragma unroll 4
    for (int i = begin; i < end; i += Every) sum += product[i * Step];
  } else if (varying == 1) {
    const weight_factor one = u.varies() ? u : v.varies() ? v : g;
    const float* from = one.at + begin * one.step;
    const std::int64_t step = Every * one.step;
#pragma unroll 4
    for (int i = begin; i < end; i += Every, from += step) sum = fmaf(product[i * Step], one.finite(__ldg(from)), sum);
  } else {
#pragma unroll 4
    for (int i = begin; i < end; i += Every) sum = fmaf(product[i * Step], u.of(i) * v.of(i) * g.of(i), sum);
  }
  return sum * u.fixed() * v.fixed() * g.fixed();
}

/// Where a sum's numbers of the tile begin.
struct sum_place final {
  const float *u, *v, *g;
  float* to;
};

/// Threads for what is kept; where that is less than there are threads, each adds up a part.
template <class Shape, bool Tokens, bool States, bool Lanes>
struct sum_of_tile final {
  static constexpr int smaller(int a, int b) { return a < b ? a : b; }
  static constexpr int kept_states = States ? Shape::states : 1, kept_lanes = Lanes ? Shape::lanes : 1;
  static constexpr int results = (Tokens ? tile_tokens : 1) * kept_states * kept_lanes;
  static constexpr int parts = results < tile_threads ? tile_threads / results : 1;
  static constexpr int lane_parts = Lanes ? 1 : smaller(parts, Shape::lanes);
  static constexpr int state_parts = States ? 1 : smaller(parts / lane_parts, Shape::states);
  static constexpr int token_parts = parts / lane_parts / state_parts;
  static constexpr int state_step = Shape::row, token_step = Shape::states * Shape::row;

  /// Entries t, n, l are those that are kept, or where the thread begins.
  static __device__ float sum(const tiled_sum& s, const tiled<const float>& back, const sum_place& at,
                              const tile_place& p, const float* products, int t, int n, int l) {
    const int t_end = Tokens ? t + 1 : p.tokens, n_end = States ? n + 1 : p.states;
    const auto along = [&](std::int64_t tiled<const float>::*axis, int token, int state, int lane, auto sum) {
      const auto factor = [&](const float* from, const tiled<const float>& v) {
        return weight_factor{from == nullptr ? nullptr : from + token * v.token + state * v.state + lane * v.inner,
                             v.*axis, s.lowest};
      };
      return sum(products + token * token_step + state * state_step + lane, factor(at.u, s.u), factor(at.v, s.v),
                 factor(at.g, back));
    };
    using numbers = tiled<const float>;
    if constexpr (Lanes && States)  // over tokens, or nothing
      return along(&numbers::token, 0, n, l, [&](const float* product, auto... w) {
        return sum_along<token_step, token_parts>(product, t, t_end, w...);
      });
    float all = 0;
#pragma unroll 1
    for (int token = t; token < t_end; token += token_parts) {
      if constexpr (Lanes) {
        all += along(&numbers::state, token, 0, l, [&](const float* product, auto... w) {
          return sum_along<state_step, state_parts>(product, n, n_end, w...);
        });
      } else {
#pragma unroll 1
        for (int state = n; state < n_end; state += state_parts)
          all += along(&numbers::inner, token, state, 0, [&](const float* product, auto... w) {
            return sum_along<1, lane_parts>(product, l, p.lanes, w...);
          });
      }
    }
    return all;
  }

  static __device__ void run(const tiled_sum& s, const tiled<const float>& back, const sum_place& at,
                             const tile_place& p, const float* products, float* shared) {
    const int thread = static_cast<int>(threadIdx.x);
#pragma unroll 1
    for (int first = 0; first < results; first += tile_threads) {
      const int result = first + thread % results, part = thread / results;
      const int l = Lanes ? result % kept_lanes : part % lane_parts;
      const int n = States ? result / kept_lanes % kept_states : part / lane_parts % state_parts;
      const int t = Tokens ? result / kept_lanes / kept_states : part / lane_parts / state_parts;
      const bool some = (!Lanes || l < p.lanes) && (!States || n < p.states) && (!Tokens || t < p.tokens);
      float all = some ? sum(s, back, at, p, products, t, n, l) : 0;
      if constexpr (parts > 1) {
        shared[thread] = all;
        for (int k = parts / 2; k > 0; k /= 2) {
          __syncthreads();
          if (part < k) shared[thread] += shared[thread + k * results];
        }
        all = shared[thread];
        __syncthreads();
      }
      if (!some || part > 0) continue;
      if (s.parts != nullptr) {
        s.parts[std::uint64_t{blockIdx.x} * results + result] = all;
        continue;
      }
      float* const to =
          at.to + (Tokens ? t * s.to.token : 0) + (States ? n * s.to.state : 0) + (Lanes ? l * s.to.inner : 0);
      *to = s.adds ? *to + all : all;
    }
  }
};

/// f.operator()<bools...>() for bools that are known at run time.
template <bool... Known, class F>
__device__ inline void with_bools(F f) {
  f.template operator()<Known...>();
}
template <bool... Known, class F, class... Rest>
__device__ inline void with_bools(F f, bool first, Rest... rest) {
  first ? with_bools<Known..., true>(f, rest...) : with_bools<Known..., false>(f, rest...);
}

/// @param before, behind  h and z at the ends of each chunk, by chunk, tile and pair
template <class Shape, bool Varying>
__global__ void __launch_bounds__(tile_threads, 2)
    sums_of_tiles(const tiled_recurrence r, const tiled_sums sums, const float* before, const float* behind) {
  __shared__ staged_tile<Shape> staged;
  __shared__ sum_place places[most_sums];
  __shared__ float parts[tile_threads];
  float* const products = shared_memory<float>();
  const tile_place p = place_of<Shape>(r.grid, blockIdx.x);
  stage(r, p, staged);
  if (static_cast<int>(threadIdx.x) < sums.count) {
    const tiled_sum& s = sums.sum[threadIdx.x];
    places[threadIdx.x] = {at_place(s.u, p), at_place(s.v, p), s.times_back ? staged.at[back_operand] : nullptr,
                           at_place(s.to, p)};
  }
  fill_products<Shape, Varying>(r, sums, p, staged, before, behind, products);
  __syncthreads();
  for (int k = 0; k < sums.count; ++k) {
    const tiled_sum& s = sums.sum[k];
    with_bools(
        [&]<bool Tokens, bool States, bool Lanes>() {
          sum_of_tile<Shape, Tokens, States, Lanes>::run(s, r.operand[back_operand], places[k], p,
                                                         products + s.product * Shape::numbers, parts);
        },
        s.keeps_tokens, s.keeps_states, s.keeps_lanes);
  }
}

/// How the parts of one sum are added up. Steps are of the sum's numbers, and of chunks and tiles.
struct sum_of_parts final {
  const float* parts;
  float* to;
  std::uint64_t results;
  layout<2> outer;    ///< axes that are kept
  layout<1> missing;  ///< all that is summed over
  std::int64_t token, state, inner, chunk_step, state_tile_step, inner_tile_step;
  std::uint32_t tokens, states, inner_size;  ///< kept, or 1
  std::uint32_t tile_states, tile_lanes;     ///< kept of a tile
  std::uint32_t each_tile;                   ///< numbers
  std::uint32_t threads;                     ///< for each result
  bool adds;
};
__global__ void __launch_bounds__(tile_threads) add_parts_of_sums(const sum_of_parts s) {
  __shared__ double shared[tile_threads];
  const std::uint32_t thread = threadIdx.x, side_by_side = tile_threads / s.threads, part = thread / side_by_side;
  const std::uint64_t result = std::uint64_t{blockIdx.x} * side_by_side + thread % side_by_side;
  const bool some = result < s.results;
  std::uint64_t rest = some ? result : 0;
  const auto next = [&rest](std::uint64_t size) {
    const std::uint64_t left = rest / size, along = rest - left * size;
    rest = left;
    return along;
  };
  const std::uint64_t i = next(s.inner_size), n = next(s.states), t = next(s.tokens);
  const places<2> outer = places_of(s.outer, rest);
  const auto block = static_cast<std::uint64_t>(outer.at[1]) + t / tile_tokens * s.chunk_step +
                     n / s.tile_states * s.state_tile_step + i / s.tile_lanes * s.inner_tile_step;
  const std::uint64_t entry =
      ((s.tokens > 1 ? t % tile_tokens : 0) * s.tile_states + n % s.tile_states) * s.tile_lanes + i % s.tile_lanes;
  double sum = 0;
  for (std::uint64_t k = some ? part : s.missing.entries; k < s.missing.entries; k += s.threads)
    sum += static_cast<double>(__ldg(s.parts + (block + places_of(s.missing, k).at[0]) * s.each_tile + entry));
  shared[thread] = sum;
  for (std::uint32_t k = s.threads / 2; k > 0; k /= 2) {
    __syncthreads();
    if (part < k) shared[thread] += shared[thread + k * side_by_side];
  }
  if (!some || part > 0) return;
  float& to = s.to[outer.at[0] + static_cast<std::int64_t>(t) * s.token + static_cast<std::int64_t>(n) * s.state +
                   static_cast<std::int64_t>(i) * s.inner];
  to = static_cast<float>(s.adds ? static_cast<double>(to) + shared[thread] : shared[thread]);
}

}  // namespace alphaform::cuda
