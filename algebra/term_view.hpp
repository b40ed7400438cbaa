// A term to read: the nodes of whichever graph holds it, their labels, and where it starts. Printers, witnesses and
// tables read terms through it; it must not outlive the graph.
#pragma once
#include <alphaform/algebra/derive.hpp>
#include <span>
#include <vector>

namespace alphaform {

struct term_view final {
  std::span<const node> nodes;
  std::span<const std::string_view> labels;
  node_index root = absent;

  term_view(std::span<const node> all, std::span<const std::string_view> names, node_index start)
      : nodes(all), labels(names), root(start) {}
  term_view(const expr& e)  // implicit: an expression is a term to read
      : nodes(e.g.nodes, e.g.size), labels(e.g.labels, e.g.size), root(e.root) {}
  term_view(const derivation& d, node_index start)
      : nodes(d.g.nodes, d.g.size), labels(d.g.labels, d.g.size), root(start) {}

  const node& operator[](node_index i) const { return nodes[i]; }
  const node& top() const { return nodes[root]; }
  term_view at(node_index i) const { return {nodes, labels, i}; }
};

/// The nodes that the term is made of, arguments first.
inline std::vector<node_index> parts_of(const term_view& v) {
  std::vector<char> needed(v.nodes.size(), 0);
  std::vector<node_index> parts;
  if (v.root == absent) return parts;
  needed[v.root] = 1;
  for (std::size_t k = std::size_t{v.root} + 1; k-- > 0;) {
    if (!needed[k]) continue;
    parts.push_back(static_cast<node_index>(k));
    for (const node_index argument : {v.nodes[k].a, v.nodes[k].b})
      if (argument != absent) needed[argument] = 1;
  }
  return {parts.rbegin(), parts.rend()};
}

/// Does a node for which `is` holds occur in the term?
template <class Predicate>
bool occurs(const term_view& v, Predicate is) {
  for (const node_index i : parts_of(v))
    if (is(v[i])) return true;
  return false;
}

}  // namespace alphaform
