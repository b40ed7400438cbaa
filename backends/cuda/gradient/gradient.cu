// Sums for the gradients of a recurrence. States are found chunk by chunk of tokens, all chunks side by side
// (states.cuh), and summed tile by tile (sums.cuh); both in registers for recurrences like Mamba's (separable.cuh).
// What would need much memory is done in parts.
#include <algorithm>
#include <alphaform/backends/cuda/functions.hpp>
#include <alphaform/backends/cuda/gradient/separable.cuh>
#include <alphaform/backends/cuda/gradient/sums.cuh>
#include <array>
#include <cmath>
#include <deque>
#include <limits>
#include <optional>
#include <vector>

namespace alphaform::cuda {

namespace {

constexpr std::size_t most_scratch = std::size_t{1} << 26;  // numbers, 256 MiB

/// A part of the operands; sums may have been begun by another part.
struct problem final {
  recurrence<float> r;
  in x, g;
  std::vector<state_sum<float>> sums;
  std::vector<bool> adds;
};
factored<float> part(const factored<float>& f, axis a, std::size_t begin, std::size_t end) {
  return {f.u.slice(a, begin, end), f.v.slice(a, begin, end)};
}
problem part(problem p, axis a, std::size_t begin, std::size_t end) {
  for (factored<float>* f : {&p.r.decay, &p.r.write, &p.r.read}) *f = part(*f, a, begin, end);
  p.x = p.x.slice(a, begin, end), p.g = p.g.slice(a, begin, end);
  for (std::size_t k = 0; k < p.sums.size(); ++k) {
    if (p.sums[k].to.of(a) == 1 && begin > 0) p.adds[k] = true;
    p.sums[k].weight = part(p.sums[k].weight, a, begin, end);
    p.sums[k].to = p.sums[k].to.slice(a, begin, end);
  }
  return p;
}

/// How a problem's axes are laid out in tiles.
struct axes_of_tiles final {
  axis inner;
  std::vector<axis> outer;

  explicit axes_of_tiles(const extents& size) {
    inner = axis::chan;
    for (const axis a : every_axis)
      if (is_lane(a) && at(size, a) > at(size, inner)) inner = a;
    for (const axis a : every_axis)
      if (is_lane(a) && a != inner && at(size, a) > 1) outer.push_back(a);
  }
  static bool is_lane(axis a) { return a != axis::token && a != axis::state; }

  template <class T>
  tiled<T> of(const view<T>& v) const {
    const auto step = [&v](axis a) { return v.of(a) == 1 ? 0 : static_cast<std::int64_t>(v.step(a)); };
    tiled<T> t{v.data, step(axis::token), step(inner), step(axis::state), {}};
    for (std::size_t k = 0; k < outer.size(); ++k) t.outer[k] = step(outer[k]);
    return t;
  }
};

std::size_t in_parts(std::size_t n, std::size_t each) { return (n + each - 1) / each; }
template <class Shape>
tile_grid grid_of(const extents& size, const axes_of_tiles& axes) {
  tile_grid g{};
  g.tokens = at(size, axis::token), g.chunks = in_parts(g.tokens, tile_tokens);
  g.inner = static_cast<std::uint32_t>(at(size, axes.inner));
  g.states = static_cast<std::uint32_t>(at(size, axis::state));
  g.inner_tiles = static_cast<std::uint32_t>(in_parts(g.inner, Shape::lanes));
  g.state_tiles = static_cast<std::uint32_t>(in_parts(g.states, Shape::states));
  g.tiles = std::uint64_t{g.inner_tiles} * g.state_tiles;
  for (const axis a : axes.outer) {
    g.outer[g.outer_axes++] = static_cast<std::uint32_t>(at(size, a));
    g.tiles *= at(size, a);
  }
  return g;
}

std::array<in, term_operands> operands(const problem& p) {
  return {p.r.decay.u, p.r.decay.v, p.r.write.u, p.r.write.v, p.x, p.r.read.u, p.r.read.v, p.g};
}
tiled_recurrence tiled_of(const problem& p, const tile_grid& g, const axes_of_tiles& axes) {
  tiled_recurrence r{};
  r.grid = g;
  r.logarithmic = p.r.logarithmic, r.exclusive = p.r.exclusive;
  const std::array all = operands(p);
  for (int k = 0; k < term_operands; ++k) {
    const tiled<const float> o = r.operand[k] = axes.of(all[k]);
    const bool outside = o.state == 0, same = o.inner == 0;
    (outside ? r.lines : same ? r.rows : o.token == 0 ? r.constants : r.varying) |= 1u << k;
  }
  return r;
}

template <class L>
void add_axis(L& l, std::size_t size, std::initializer_list<std::int64_t> steps) {
  if (size == 1) return;
  l.size[l.axes] = static_cast<std::uint32_t>(size);
  l.by[l.axes] = divisor_by(l.size[l.axes]);
  int k = 0;
  for (const std::int64_t step : steps) l.step[k++][l.axes] = step;
  l.entries *= size;
  ++l.axes;
}

/// How the parts of a sum lie, and in which order they are added up.
template <class Shape>
sum_of_parts parts_of(const tiled_sum& s, const view<float>& to, const tile_grid& g, const axes_of_tiles& axes) {
  sum_of_parts p{};
  p.to = s.to.at, p.adds = s.adds;
  p.token = s.to.token, p.state = s.to.state, p.inner = s.to.inner;
  p.tokens = s.keeps_tokens ? static_cast<std::uint32_t>(g.tokens) : 1;
  p.states = s.keeps_states ? g.states : 1, p.inner_size = s.keeps_lanes ? g.inner : 1;
  p.tile_states = s.keeps_states ? Shape::states : 1, p.tile_lanes = s.keeps_lanes ? Shape::lanes : 1;
  p.each_tile = (s.keeps_tokens ? tile_tokens : 1) * p.tile_states * p.tile_lanes;
  p.state_tile_step = 1, p.inner_tile_step = g.state_tiles, p.chunk_step = static_cast<std::int64_t>(g.tiles);
  if (!s.keeps_states) add_axis(p.missing, g.state_tiles, {p.state_tile_step});
  if (!s.keeps_lanes) add_axis(p.missing, g.inner_tiles, {p.inner_tile_step});
  std::int64_t step = std::int64_t{g.state_tiles} * g.inner_tiles;
  for (int a = g.outer_axes; a-- > 0;) {
    const bool kept = to.of(axes.outer[a]) > 1;
    kept ? add_axis(p.outer, g.outer[a], {s.to.outer[a], step}) : add_axis(p.missing, g.outer[a], {step});
    step *= g.outer[a];
  }
  if (!s.keeps_tokens) add_axis(p.missing, g.chunks, {p.chunk_step});
  p.results = std::uint64_t{p.tokens} * p.states * p.inner_size * p.outer.entries;
  constexpr std::uint64_t enough = 1 << 16;  // threads for the whole card
  for (p.threads = 1; p.threads < tile_threads && p.results * p.threads < enough && p.threads < p.missing.entries;)
    p.threads *= 2;
  return p;
}

template <class Shape>
class tiled_problem final {
 public:
  tiled_problem(const problem& p, const extents& size)
      : p_(p), axes_(size), grid_(grid_of<Shape>(size, axes_)), r_(tiled_of(p, grid_, axes_)) {}

  std::size_t scratch_numbers() const {
    std::size_t all = 4 * pairs() * grid_.chunks;
    for (std::size_t k = 0; k < p_.sums.size(); ++k) all += part_numbers(sum_of(k), p_.sums[k].to);
    return all;
  }
  void run() const {
    const scratch<chunk_decay> decay(pairs() * grid_.chunks);
    const scratch<float> before(pairs() * grid_.chunks), behind(pairs() * grid_.chunks);
    launch(chunks(), blocks(), dim3(Shape::threads), 0, r_, decay.data(), before.data(), behind.data());
    launch(chunks_joined, dim3(static_cast<unsigned>(in_parts(pairs(), tile_threads)), 2), dim3(tile_threads), 0,
           grid_.chunks, pairs(), decay.data(), before.data(), behind.data());
    for (std::size_t k = 0; k < p_.sums.size();) k = add_some(k, before.data(), behind.data());
  }

 private:
  static constexpr bool separable = std::is_same_v<Shape, separable_shape>;
  std::uint64_t pairs() const { return grid_.tiles * Shape::pairs; }
  dim3 blocks() const { return {static_cast<unsigned>(grid_.tiles * grid_.chunks)}; }

  auto chunks() const {
    if constexpr (separable)
      return separable_chunks;
    else
      return r_.varying != 0 ? chunks_alone<Shape, true> : chunks_alone<Shape, false>;
  }

  tiled_sum sum_of(std::size_t k) const {
    const state_sum<float>& s = p_.sums[k];
    tiled_sum t{};
    t.u = axes_.of(s.weight.u), t.v = axes_.of(s.weight.v), t.to = axes_.of(s.to);
    t.times_back = s.of == state_product::read || s.of == state_product::read_before;
    t.keeps_tokens = s.to.of(axis::token) > 1, t.keeps_states = s.to.of(axis::state) > 1;
    t.keeps_lanes = s.to.of(axes_.inner) > 1;
    t.adds = p_.adds[k];
    t.lowest = s.of == state_product::decayed ? std::numeric_limits<float>::lowest() : -INFINITY;
    return t;
  }
  std::size_t part_numbers(const tiled_sum& s, const view<float>& to) const {
    const sum_of_parts p = parts_of<Shape>(s, to, grid_, axes_);
    return p.missing.entries == 1 ? 0 : p.each_tile * grid_.tiles * grid_.chunks;
  }
  static int product_of(state_product of) {
    if (of == state_product::written) return 0;
    return of == state_product::decayed || of == state_product::kept ? 1 : 2;
  }
  /// What a pass leaves for later.
  struct parts_of_pass final {
    std::deque<scratch<float>> numbers;
    std::vector<sum_of_parts> sums;
  };
  tiled_sum sum_with_parts(std::size_t k, parts_of_pass& parts) const {
    tiled_sum s = sum_of(k);
    s.product = product_of(p_.sums[k].of);
    if (const std::size_t numbers = part_numbers(s, p_.sums[k].to); numbers > 0) {
      s.parts = parts.numbers.emplace_back(numbers).data();
      parts.sums.push_back(parts_of<Shape>(s, p_.sums[k].to, grid_, axes_));
      parts.sums.back().parts = s.parts;
    }
    return s;
  }
  /// The sums from number k on that fit into one pass; the first one that does not.
  std::size_t add_some(std::size_t k, const float* before, const float* behind) const {
    parts_of_pass parts;
    if constexpr (separable)
      k = pass_of_separable(k, parts, before, behind);
    else
      k = pass_of_tiles(k, parts, before, behind);
    for (const sum_of_parts& s : parts.sums)
      launch(add_parts_of_sums, dim3(static_cast<unsigned>(in_parts(s.results, tile_threads / s.threads))),
             dim3(tile_threads), 0, s);
    return k;
  }
  std::size_t pass_of_tiles(std::size_t k, parts_of_pass& parts, const float* before, const float* behind) const {
    tiled_sums sums{};
    std::optional<state_product> chosen[products_at_once];
    for (; k < p_.sums.size() && sums.count < most_sums; ++k) {
      const state_product of = p_.sums[k].of;
      const int product = product_of(of);
      if (chosen[product].value_or(of) != of) break;
      chosen[product] = of;
      sums.sum[sums.count++] = sum_with_parts(k, parts);
    }
    sums.kept = chosen[1] == state_product::kept, sums.read_before = chosen[2] == state_product::read_before;
    constexpr std::size_t bytes = products_at_once * Shape::numbers * sizeof(float);
    const auto kernel = r_.varying != 0 ? sums_of_tiles<Shape, true> : sums_of_tiles<Shape, false>;
    check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(bytes)),
          "share memory in blocks");
    launch(kernel, blocks(), dim3(Shape::threads), bytes, r_, sums, before, behind);
    return k;
  }
  std::size_t pass_of_separable(std::size_t k, parts_of_pass& parts, const float* before, const float* behind) const {
    separable_sums sums{};
    for (; k < p_.sums.size(); ++k) {
      tiled_sum& place = place_among(sums, p_.sums[k].of, sum_of(k).keeps_lanes);
      if (place.to.at != nullptr) break;
      place = sum_with_parts(k, parts);
    }
    launch(sums_of_separable, blocks(), dim3(Shape::threads), 0, r_, sums, before, behind);
    return k;
  }
  static tiled_sum& place_among(separable_sums& sums, state_product of, bool keeps_lanes) {
    if (keeps_lanes) return of == state_product::written ? sums.written_line : sums.decayed_line;
    return of == state_product::written ? sums.written_row : sums.read_row;
  }

  const problem& p_;
  axes_of_tiles axes_;
  tile_grid grid_;
  tiled_recurrence r_;
};

void run(const problem& p);
/// As a whole, or two halves along the longest axis one after the other.
template <class Shape>
void run(const problem& p, const extents& size) {
  const tiled_problem<Shape> tiles(p, size);
  axis longest = axis::state;
  for (const axis a : every_axis)
    if (axes_of_tiles::is_lane(a) && at(size, a) > at(size, longest)) longest = a;
  const std::size_t all = at(size, longest);
  if (tiles.scratch_numbers() <= most_scratch || all <= Shape::states || all <= Shape::lanes) return tiles.run();
  const std::size_t half = in_parts(all / 2, 32) * 32;
  run(part(p, longest, 0, half));
  run(part(p, longest, half, all));
}
/// What separable.cuh is for.
class separable_parts final {
 public:
  explicit separable_parts(const axes_of_tiles& axes) : axes_(axes) {}
  bool has(const problem& p) const {
    return p.r.logarithmic && !p.r.exclusive && are(p.r.decay, line, constant) && are(p.r.write, line, row) &&
           are(p.r.read, line, row) && are({p.x, p.g}, line, row);
  }
  bool has(const state_sum<float>& s) const {
    const bool lanes = s.to.of(axes_.inner) > 1, states = s.to.of(axis::state) > 1;
    if (s.to.of(axis::token) == 1 || lanes == states) return false;
    if (s.of == state_product::written) return are(s.weight, line, row);
    return lanes ? s.of == state_product::decayed && are(s.weight, line, constant)
                 : s.of == state_product::read && are(s.weight, line, row);
  }

 private:
  static constexpr auto line = factor_kind::line, row = factor_kind::row, constant = factor_kind::constant;
  bool is(const in& v, factor_kind first, factor_kind second) const {
    const factor_kind kind = kind_of(axes_.of(v));
    return kind == first || kind == second;
  }
  bool are(const factored<float>& f, factor_kind first, factor_kind second) const {
    return is(f.u, first, second) && is(f.v, first, second);
  }
  const axes_of_tiles& axes_;
};

void run_in_tiles(const problem& p, const extents& size, const axes_of_tiles& axes) {
  const auto tiles = [&]<class Shape>(Shape) { return grid_of<Shape>(size, axes).tiles; };
  const auto even = tiles(tile_shape<32>()), wide = tiles(tile_shape<128>()), high = tiles(tile_shape<4>());
  if (even <= std::min(wide, high)) return run<tile_shape<32>>(p, size);
  wide <= high ? run<tile_shape<128>>(p, size) : run<tile_shape<4>>(p, size);
}

void run(const problem& p) {
  extents size = single;
  for (const in& v : operands(p)) size = together(size, v.size);
  if (volume(size) == 0) return;
  const axes_of_tiles axes(size);
  const separable_parts parts(axes);
  problem separable = p, other = p;
  for (problem* some : {&separable, &other}) some->sums.clear(), some->adds.clear();
  const bool is_separable = parts.has(p);
  for (std::size_t k = 0; k < p.sums.size(); ++k) {
    problem& some = is_separable && parts.has(p.sums[k]) ? separable : other;
    some.sums.push_back(p.sums[k]), some.adds.push_back(p.adds[k]);
  }
  if (!separable.sums.empty()) run<separable_shape>(separable, size);
  if (!other.sums.empty()) run_in_tiles(other, size, axes);
}

}  // namespace

void unrolled_gradient(const recurrence<float>& r, in x, in g, std::span<const state_sum<float>> sums) {
  run({r, x, g, {sums.begin(), sums.end()}, std::vector<bool>(sums.size(), false)});
}

}  // namespace alphaform::cuda
