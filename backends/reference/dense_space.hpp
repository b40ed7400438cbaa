// The flattened space [T, H, C, N, R] of a witness: where an entry is, and what it is called by its axes.
#pragma once
#include <alphaform/backends/reference/witness.hpp>

namespace alphaform::reference {

using Eigen::Index;

struct dense_space final {
  witness_sizes sizes;

  Index length(axes one) const {
    return one == head ? sizes.heads : one == chan ? sizes.channels : one == state ? sizes.states : sizes.ranks;
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
  /// Repeats a stream along the axes that it lacks.
  Eigen::VectorXd repeated(const Eigen::VectorXd& x, axes has, axes wanted) const {
    Eigen::VectorXd y(size(wanted));
    for (Index t = 0; t < sizes.tokens; ++t)
      for (Index k = 0; k < width(wanted); ++k) y[t * width(wanted) + k] = x[t * width(has) + place(k, wanted, has)];
    return y;
  }
};

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

}  // namespace alphaform::reference
