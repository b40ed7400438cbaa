// An expression as a value: a hash-consed graph of plain nodes in a fixed array. Equal subterms are one node, so
// equality of two expressions is equality of two indices, and everything here runs in a static_assert as well as at run
// time.
#pragma once
#include <alphaform/algebra/axes.hpp>
#include <alphaform/algebra/functions.hpp>
#include <alphaform/algebra/terms.hpp>
#include <alphaform/error.hpp>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace alphaform {

using node_index = std::uint16_t;
inline constexpr node_index absent = 0xffff;

/// One term with at most two arguments. An operator consumes the axes `from` and makes the axes `to`; other axes pass
/// through.
struct node final {
  code term = 0;
  code function = no_function;
  axes to{}, from{};
  node_index a = absent, b = absent;
  std::string_view id{};
  constexpr bool operator==(const node&) const = default;
  template <class Term>
  constexpr bool is() const {
    return term == term_code<Term>;
  }
  constexpr bool is_stream() const { return term_table[term].is == sort::stream; }
};

/// Nodes in an order in which arguments come first. `labels` are names for printing; they are no part of a node's
/// identity.
template <std::size_t Capacity>
struct graph final {
  static constexpr std::size_t buckets = 128;
  node nodes[Capacity]{};
  std::string_view labels[Capacity]{};
  node_index size = 0;
  node_index first[buckets]{};  // 1 + node, 0 for an empty bucket
  node_index next[Capacity]{};

  constexpr const node& operator[](node_index i) const { return nodes[i]; }

  /// The node's index; an equal node is found, not stored again. @throws user_error when the expression is too large.
  constexpr node_index put(const node& n) {
    const auto hash = (n.term * 31u + n.function * 7u + n.a * 5u + n.b * 3u + n.id.size()) % buckets;
    for (node_index i = first[hash]; i != 0; i = next[i - 1])
      if (nodes[i - 1] == n) return static_cast<node_index>(i - 1);
    if (size == Capacity) throw user_error("this expression has more distinct subterms than alphaform's graph holds");
    nodes[size] = n;
    next[size] = first[hash];
    first[hash] = ++size;
    return static_cast<node_index>(size - 1);
  }

  /// Copies the part of `other` that is reachable from `root`, labels included, and returns where the root is here.
  template <std::size_t Other>
  constexpr node_index take(const graph<Other>& other, node_index root) {
    node_index at[Other];
    for (node_index& i : at) i = absent;
    return take(other, root, at);
  }

 private:
  template <std::size_t Other>
  constexpr node_index take(const graph<Other>& other, node_index root, node_index (&at)[Other]) {
    if (root == absent) return absent;
    if (at[root] != absent) return at[root];
    node n = other[root];
    n.a = take(other, n.a, at);
    n.b = take(other, n.b, at);
    at[root] = put(n);
    if (!other.labels[root].empty()) labels[at[root]] = other.labels[root];
    return at[root];
  }
};

/// A term of the language: a small graph and where it starts.
struct expr final {
  graph<160> g{};
  node_index root = absent;
  constexpr const node& top() const { return g[root]; }
};

/// Where rewriting works; large enough for every derivation of one architecture.
using workspace = graph<1024>;

/// Structural equality, whatever the order in which the two were built.
constexpr bool operator==(const expr& x, const expr& y) {
  graph<320> both;
  return both.take(x.g, x.root) == both.take(y.g, y.root);
}

}  // namespace alphaform
