#include <algorithm>
#include <alphaform/algebra/naming.hpp>
#include <alphaform/algebra/print.hpp>

namespace alphaform {
namespace {

constexpr std::size_t short_text = 16, long_text = 48;  // characters

std::size_t characters(const std::string& utf8) {
  return static_cast<std::size_t>(
      std::count_if(utf8.begin(), utf8.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

class namer final {
 public:
  explicit namer(named_terms& n) : n_(n), g_(n.g) {}

  void name() {
    choose();
    for (const node_index i : candidates_) {  // arguments first: names inside make a term shorter
      if (!deserves_name(i)) continue;
      g_.labels[i] = "s9";  // as long as a name will be
      chosen_.push_back(i);
    }
    for (const node_index i : chosen_) g_.labels[i] = {};
    met_.assign(used_.size(), 0);
    for (const node_index i : n_.terms) meet(i);
  }

 private:
  bool is_chosen(node_index i) const { return std::binary_search(chosen_.begin(), chosen_.end(), i); }

  /// How often each node is printed: what has a label or may get a name is printed once.
  void choose() {
    node_index last = 0;
    for (const node_index i : n_.terms) last = std::max(last, i);
    used_.assign(last + 1u, 0);
    std::vector<char> printed(last + 1u, 0);
    for (const node_index i : n_.terms) printed[i] = 1;
    for (std::size_t k = used_.size(); k-- > 0;) {
      const auto i = static_cast<node_index>(k);
      const node& n = g_[i];
      if (!printed[i] || !g_.labels[i].empty() || n.is<terms::inverse_size>()) continue;
      const bool candidate = deserves_name(i);
      if (candidate) candidates_.push_back(i);
      for (const node_index argument : {n.a, n.b})
        if (argument != absent) {
          printed[argument] = 1;
          used_[argument] = std::min(used_[argument] + (candidate ? 1L : std::max(used_[i], 1L)), 1000L);
        }
    }
    std::reverse(candidates_.begin(), candidates_.end());
  }
  bool is_state(node_index i) const {
    if (!g_[i].is<terms::applied>()) return false;
    node_index p = g_[i].a;
    while (g_[p].is<terms::product>()) p = g_[p].a;
    return g_[p].is<terms::scan>();
  }
  bool only_repeated(const node& n) const { return n.is<terms::applied>() && g_[n.a].is<terms::expand>(); }
  bool deserves_name(node_index i) const {
    const node& n = g_[i];
    if (!n.is_stream() || n.a == absent || !g_.labels[i].empty() || n.is<terms::held>() || only_repeated(n))
      return false;
    const std::size_t length = characters(print({g_, i}, notation::text));
    if (used_[i] == 0) return false;  // a term of its own
    const bool often = used_[i] > 1, state = is_state(i);
    return length > long_text || (length > short_text && (often || state)) || (often && state);
  }

  /// Left to right, a name's own definition after the term that uses it.
  void meet(node_index root) {
    std::vector<node_index> later;
    walk(root, later);
    for (std::size_t k = 0; k < later.size(); ++k) {
      const node n = g_[later[k]];
      for (const node_index argument : {n.a, n.b})
        if (argument != absent) walk(argument, later);
    }
  }
  void walk(node_index i, std::vector<node_index>& later) {
    if (met_[i]) return;
    met_[i] = 1;
    if (is_chosen(i)) {
      const bool state = is_state(i);
      n_.names.push_back((state ? "h" : "s") + std::to_string(state ? ++states_ : ++streams_));
      g_.labels[i] = n_.names.back();
      n_.defined.push_back(i);
      later.push_back(i);
      return;
    }
    const node n = g_[i];
    if (!g_.labels[i].empty() || n.is<terms::inverse_size>()) return;
    for (const node_index argument : {n.a, n.b})
      if (argument != absent) walk(argument, later);
  }

  named_terms& n_;
  workspace& g_;
  std::vector<long> used_;
  std::vector<char> met_;
  std::vector<node_index> candidates_, chosen_;
  int states_ = 0, streams_ = 0;
};

/// Streams in one form, also inside the streams that control operators, where derivations do not look: I s = s, P (Q s)
/// = (P Q) s, and Delay in front of the stream that it delays.
class tidier final {
 public:
  explicit tidier(workspace& g) : g_(g) {}

  node_index operator()(node_index i) {
    if (seen_[i] != absent) return seen_[i];
    node_index made = rebuilt(g_, i, true, [this](node_index k) { return (*this)(k); });
    if (g_[made].is<terms::applied>()) made = applied(made, g_.labels[i]);
    seen_.set(i, made);
    return made;
  }

 private:
  node_index applied(node_index i, std::string_view label) {
    if (g_[g_[i].a].is<terms::identity>()) return g_[i].b;
    if (g_[g_[i].a].is<terms::expand>()) return i;
    buffer<node_index> factors;
    node_index operand = i;
    do {
      flatten<terms::product>(g_, g_[operand].a, factors);
      operand = g_[operand].b;
    } while (g_[operand].is<terms::applied>() && g_.labels[operand].empty());
    if (g_[factors[0]].is<terms::delay>() && factors.size() > 1) {
      const node_index delay = factors[0];
      factors.erase(0);
      operand = put(nested<terms::product>(g_, factors), operand, {});
      return put(delay, operand, label);
    }
    return put(nested<terms::product>(g_, factors), operand, label);
  }
  node_index put(node_index p, node_index s, std::string_view label) {
    const node_index made = g_.put(inferred(g_, {.term = term_code<terms::applied>, .a = p, .b = s}));
    if (g_.labels[made].empty()) g_.labels[made] = label;
    return made;
  }

  workspace& g_;
  memo seen_;
};

}  // namespace

named_terms with_names(const std::vector<term_view>& terms) {
  named_terms n;
  tidier tidied(n.g);
  for (const term_view& t : terms) n.terms.push_back(tidied(taken(n.g, t)));
  namer(n).name();
  return n;
}

}  // namespace alphaform
