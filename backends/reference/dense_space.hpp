// The flattened space [T, G, H, C, N, R, K, Z] of a witness: where an entry is, what it is called by its axes, and the
// numbers that inputs and parameters have in it.
#pragma once
#include <alphaform/backends/reference/witness.hpp>
#include <numeric>
#include <vector>

namespace alphaform::reference {

using Eigen::Index;
template <class S>
using vector = Eigen::Matrix<S, Eigen::Dynamic, 1>;
template <class S>
using matrix = Eigen::Matrix<S, Eigen::Dynamic, Eigen::Dynamic>;

/// Uniform in [-1, 1] from a name, two numbers and a seed (FNV-1a with a final mix).
inline double uniform(std::string_view id, Index i, Index j, unsigned seed) {
  std::uint64_t h = 14695981039346656037ull;
  const auto stir = [&h](std::uint64_t v) { h = (h ^ v) * 1099511628211ull; };
  for (const char c : id) stir(static_cast<unsigned char>(c));
  for (const std::uint64_t v : {static_cast<std::uint64_t>(i), static_cast<std::uint64_t>(j), std::uint64_t{seed}}) {
    stir(v);
    h ^= h >> 29;
    h *= 0xbf58476d1ce4e5b9ull;
  }
  h ^= h >> 32;
  return static_cast<double>(h % 2000003) / 1000001.0 - 1;
}

struct dense_space final {
  witness_sizes sizes;

  Index length(axes one) const {
    return one == head    ? sizes.heads
           : one == chan  ? sizes.channels
           : one == state ? sizes.states
           : one == rank  ? sizes.ranks
           : one == tap   ? sizes.taps
           : one == group ? sizes.groups
                          : 2;
  }
  /// Entries of one token.
  Index width(axes of) const {
    Index n = 1;
    for (const axis_letter& l : axis_letters)
      if (of.contains(l.axis)) n *= length(l.axis);
    return n;
  }
  Index size(axes of) const { return sizes.tokens * width(of); }

  /// Where entry k of one token of a stream with the axes `from` lies in one with the axes `to`, of which it has all.
  Index place(Index k, axes from, axes to) const {
    Index at = 0, stride = 1;
    for (auto l = axis_letters.rbegin(); l != axis_letters.rend(); ++l) {
      if (!from.contains(l->axis)) continue;
      const Index n = length(l->axis);
      if (to.contains(l->axis)) {
        at += k % n * stride;
        stride *= n;
      }
      k /= n;
    }
    return at;
  }
  /// The place of every entry of one token.
  std::vector<Index> places(axes from, axes to) const {
    std::vector<Index> at(static_cast<std::size_t>(width(from)));
    for (Index k = 0; k < width(from); ++k) at[static_cast<std::size_t>(k)] = place(k, from, to);
    return at;
  }
  /// Repeats the rows of streams along the axes that they lack.
  template <class Rows>
  typename Rows::PlainObject repeated(const Eigen::MatrixBase<Rows>& x, axes has, axes wanted) const {
    if (has == wanted) return x;
    typename Rows::PlainObject y(size(wanted), x.cols());
    const std::vector<Index> at = places(wanted, has);
    const Index narrow = width(has), wide = width(wanted);
    for (Index t = 0; t < sizes.tokens; ++t)
      for (Index k = 0; k < wide; ++k) y.row(t * wide + k) = x.row(t * narrow + at[static_cast<std::size_t>(k)]);
    return y;
  }
};

/// The window of every Attend that has one.
inline constexpr Index attention_window = 3;

/// A parameter that means something only within a range, in which recurrences stay bounded.
struct usual_value final {
  std::string_view in_name;
  double (*of)(double uniform);
};
inline constexpr usual_value usual_values[] = {
    {"eps", [](double) { return 1e-5; }},           {"Lambda_re", [](double u) { return -0.1 - std::abs(u); }},
    {"beta_max", [](double) { return 1.0; }},       {"gate_scale", [](double) { return 0.0625; }},
    {"log_decay_min", [](double) { return -5.0; }}, {"dt_min", [](double) { return 0.0; }},
    {"dt_max", [](double) { return 100.0; }}};

/// Entry `place` of a parameter, in the memory order of its axes.
inline double parameter_entry(std::string_view id, Index place, unsigned seed) {
  const double u = uniform(id, -1, place, seed);
  for (const usual_value& v : usual_values)
    if (id.find(v.in_name) != id.npos) return v.of(u);
  return u;
}
/// A square weight [A, A] has no place for its entries among the axes of a stream: they are numbered by row and column.
inline double square_entry(std::string_view id, Index row, Index column, unsigned seed) {
  return uniform(id, row, column, seed);
}
/// A parameter as a checkpoint stores it: in the memory order of its axes, the weight of a Mix row by row [to, from].
inline std::vector<double> stored_parameter(const dense_space& space, const node& n, unsigned seed) {
  std::vector<double> numbers;
  const bool square = n.from != no_axes && n.from == n.to;
  const axes to = square ? n.to : n.to - n.from;
  std::vector<Index> at(static_cast<std::size_t>(space.width(to) * space.width(n.from)));  // in memory order
  if (!square)
    for (Index k = 0; k < space.width(n.to); ++k)
      at[static_cast<std::size_t>(space.place(k, n.to, to) * space.width(n.from) + space.place(k, n.to, n.from))] = k;
  for (Index row = 0; row < space.width(to); ++row)
    for (Index column = 0; column < space.width(n.from); ++column) {
      if (square) {
        numbers.push_back(square_entry(n.id, row, column, seed));
        continue;
      }
      numbers.push_back(parameter_entry(n.id, at[static_cast<std::size_t>(row * space.width(n.from) + column)], seed));
    }
  return numbers;
}
/// The order of Permute: the numbers of all tokens, shuffled (Fisher and Yates) by the parameter's name.
inline std::vector<Index> token_order(std::string_view id, Index tokens, unsigned seed) {
  std::vector<Index> order(static_cast<std::size_t>(tokens));
  std::iota(order.begin(), order.end(), Index{0});
  for (Index t = tokens - 1; t > 0; --t) {
    const auto other = static_cast<Index>((uniform(id, tokens, t, seed) + 1) / 2 * static_cast<double>(t + 1));
    std::swap(order[static_cast<std::size_t>(t)], order[static_cast<std::size_t>(std::min(other, t))]);
  }
  return order;
}

}  // namespace alphaform::reference
