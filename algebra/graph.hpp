// An expression as a value: a hash-consed graph of plain nodes. Equal subterms are one node, so equality of two
// expressions is equality of two indices, and everything here runs in a static_assert as well as at run time.
#pragma once
#include <alphaform/algebra/axes.hpp>
#include <alphaform/algebra/buffer.hpp>
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
/// through. A parameter that is a matrix has its columns' axes in `from`.
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

/// Copies the part of `from` that is reachable from `root` into `to`, labels included, and returns where the root is
/// there. `at` says what was copied before.
template <class To, class From, class Places>
constexpr node_index copy_term(To& to, const From& from, node_index root, Places& at) {
  if (root == absent) return absent;
  if (at[root] != absent) return at[root];
  node n = from[root];
  n.a = copy_term(to, from, n.a, at);
  n.b = copy_term(to, from, n.b, at);
  at[root] = to.put(n);
  if (!from.labels[root].empty()) to.labels[at[root]] = from.labels[root];
  return at[root];
}

/// Nodes in an order in which arguments come first, in a fixed array: what a constexpr variable can hold. `labels` are
/// names for printing; they are no part of a node's identity.
template <std::size_t Capacity>
struct graph final {
  static constexpr std::size_t buckets = Capacity > 64 ? 128 : 1;
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
  template <class Other>
  constexpr node_index take(const Other& other, node_index root) {
    buffer<node_index> at(other.size, absent);
    return copy_term(*this, other, root, at);
  }
};

/// The same, growing as needed: where rewriting works, and where large terms live at run time.
class workspace final {
 public:
  buffer<std::string_view> labels{};
  node_index size = 0;

  constexpr workspace() : first_(buckets, 0) {}
  constexpr const node& operator[](node_index i) const { return nodes_[i]; }

  /// As graph::put. @throws user_error when there are 65,535 nodes
  constexpr node_index put(const node& n) {
    const auto hash = (n.term * 31u + n.function * 7u + n.a * 5u + n.b * 3u + n.id.size()) % buckets;
    for (node_index i = first_[hash]; i != 0; i = next_[i - 1u])
      if (nodes_[i - 1u] == n) return static_cast<node_index>(i - 1);
    if (size + 1 == absent) throw user_error("this expression has more than 65,534 distinct subterms");
    nodes_.push_back(n);
    labels.push_back({});
    next_.push_back(first_[hash]);
    first_[hash] = ++size;
    return static_cast<node_index>(size - 1);
  }
  template <class Other>
  constexpr node_index take(const Other& other, node_index root) {
    buffer<node_index> at(other.size, absent);
    return copy_term(*this, other, root, at);
  }
  constexpr const node* begin() const { return nodes_.data(); }

 private:
  static constexpr std::size_t buckets = 512;
  buffer<node> nodes_{};
  buffer<node_index> first_, next_{};
};

/// A term in a small graph, and where it starts.
template <std::size_t Capacity>
struct term_in final {
  graph<Capacity> g{};
  node_index root = absent;
  constexpr const node& top() const { return g[root]; }
};

/// A term of the language.
using expr = term_in<160>;

/// A term at run time, of any size.
struct large_expr final {
  workspace g{};
  node_index root = absent;
  const node& top() const { return g[root]; }
};

/// Structural equality, whatever the order in which the two were built.
template <std::size_t N, std::size_t M>
constexpr bool operator==(const term_in<N>& x, const term_in<M>& y) {
  workspace both;
  return both.take(x.g, x.root) == both.take(y.g, y.root);
}

}  // namespace alphaform
