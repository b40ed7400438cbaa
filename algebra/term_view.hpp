// A term to read: the nodes of whichever graph holds it, their labels, and where it starts. Printers, witnesses and
// tables read terms through it; it must not outlive the graph.
#pragma once
#include <alphaform/algebra/jacobian.hpp>
#include <span>
#include <vector>

namespace alphaform {

struct term_view final {
  std::span<const node> nodes;
  std::span<const std::string_view> labels;
  node_index root = absent;

  term_view(std::span<const node> all, std::span<const std::string_view> names, node_index start)
      : nodes(all), labels(names), root(start) {}
  template <std::size_t N>
  term_view(const term_in<N>& e)  // implicit: an expression is a term to read
      : term_view(e.g, e.root) {}
  term_view(const large_expr& e) : term_view(e.g, e.root) {}
  template <std::size_t N>
  term_view(const graph<N>& g, node_index start) : nodes(g.nodes, g.size), labels(g.labels, g.size), root(start) {}
  term_view(const workspace& g, node_index start)
      : nodes(g.begin(), g.size), labels(g.labels.data(), g.size), root(start) {}
  term_view(const derivation& d, node_index start) : term_view(d.g, start) {}
  term_view(const jacobian_terms& j, node_index start) : term_view(j.g, start) {}

  const node& operator[](node_index i) const { return nodes[i]; }
  const node& top() const { return nodes[root]; }
  term_view at(node_index i) const { return {nodes, labels, i}; }
};

/// The nodes that the term is made of, arguments first; not the stream of which 1/n only counts the entries.
inline std::vector<node_index> parts_of(const term_view& v) {
  std::vector<char> needed(v.nodes.size(), 0);
  std::vector<node_index> parts;
  if (v.root == absent) return parts;
  needed[v.root] = 1;
  for (std::size_t k = std::size_t{v.root} + 1; k-- > 0;) {
    if (!needed[k]) continue;
    parts.push_back(static_cast<node_index>(k));
    if (v.nodes[k].is<terms::inverse_size>()) continue;
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

/// The same for the operators that the term is made of, not for the streams that control them.
template <class Predicate>
bool occurs_in_operators(const term_view& v, Predicate is) {
  const node& n = v.top();
  if (is(n)) return true;
  if (!is_composite(n)) return false;
  return occurs_in_operators(v.at(n.a), is) || (n.b != absent && occurs_in_operators(v.at(n.b), is));
}

/// Copies the term into a graph.
inline node_index taken(workspace& g, const term_view& v) {
  std::vector<node_index> at(v.nodes.size(), absent);
  return copy_term(g, v, v.root, at);
}

}  // namespace alphaform
