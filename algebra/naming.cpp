#include <algorithm>
#include <alphaform/algebra/naming.hpp>
#include <alphaform/algebra/print.hpp>

namespace alphaform {
namespace {

constexpr std::size_t short_text = 16, long_text = 48, long_operator = 24;  // characters

std::size_t characters(const std::string& utf8) {
  return static_cast<std::size_t>(
      std::count_if(utf8.begin(), utf8.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

/// Which nodes may get a name of what controls the operators on the way from x to y.
class controls_of final {
 public:
  controls_of(const workspace& g, node_index y) : g_(g), on_path_(y + 1u, 0), in_control_(y + 1u, 0) {
    for (node_index i = 0; i <= y; ++i) {
      const node& n = g[i];
      const auto any = [&n](const std::vector<char>& of) {
        return (n.a != absent && of[n.a]) || (n.b != absent && of[n.b]);
      };
      of_x_.push_back((n.is<terms::input>() && n.id == value_input) || any(of_x_));
      remembers_.push_back(n.is<terms::scan>() || n.is<terms::attend>() || any(remembers_));
    }
    follow(y);
  }
  bool operator()(node_index i) const {
    return i < in_control_.size() && in_control_[i] && !(on_path_[i] && remembers_[i]);
  }

 private:
  void follow(node_index i) {
    if (on_path_[i]) return;
    on_path_[i] = 1;
    const node& n = g_[i];
    if (n.is<terms::applied>()) {
      control(n.a);
      return follow(n.b);
    }
    for (const node_index k : {n.a, n.b})
      if (k != absent) of_x_[k] ? follow(k) : control(k);
  }
  void control(node_index i) {
    if (in_control_[i]) return;
    in_control_[i] = 1;
    for (const node_index k : {g_[i].a, g_[i].b})
      if (k != absent) control(k);
  }

  const workspace& g_;
  std::vector<char> of_x_, remembers_, on_path_, in_control_;
};

class namer final {
 public:
  namer(named_terms& n, const controls_of* only) : n_(n), g_(n.g), only_(only) {}

  /// @param counted  so many of the terms say how often something is printed
  /// @param known    names that are in use
  void name(std::size_t counted, const std::deque<std::string>& known) {
    for (const std::string& k : known) ++(k[0] == 'h' ? states_ : k[0] == 'M' ? operators_ : streams_);
    choose(counted);
    for (const node_index i : candidates_) {  // arguments first: names inside make a term shorter
      if (!deserves_name(i)) continue;
      g_.labels[i] = "s9";  // as long as a name will be
      chosen_.push_back(i);
    }
    for (const node_index i : chosen_) g_.labels[i] = {};
    met_.assign(g_.size, 0);
    for (std::size_t k = 0; k < n_.terms.size(); ++k) meet(n_.terms[k], k);
  }

 private:
  bool is_chosen(node_index i) const { return std::binary_search(chosen_.begin(), chosen_.end(), i); }

  /// How often each node is printed: what has a label or may get a name is printed once.
  void choose(std::size_t counted) {
    node_index last = 0;
    for (std::size_t k = 0; k < counted; ++k) last = std::max(last, n_.terms[k]);
    used_.assign(last + 1u, 0);
    is_transition_.assign(last + 1u, 0);
    std::vector<char> printed(last + 1u, 0);
    for (std::size_t k = 0; k < counted; ++k) printed[n_.terms[k]] = 1;
    for (std::size_t k = used_.size(); k-- > 0;) {
      const auto i = static_cast<node_index>(k);
      const node& n = g_[i];
      const bool labelled = !g_.labels[i].empty();
      if (!printed[i] || (labelled && only_ == nullptr) || n.is<terms::inverse_size>()) continue;
      const bool candidate = deserves_name(i);
      if (candidate) candidates_.push_back(i);
      if (n.is<terms::scan>()) is_transition_[n.a] = 1;
      for (const node_index argument : {n.a, n.b})
        if (argument != absent) {
          printed[argument] = 1;
          used_[argument] = std::min(used_[argument] + (candidate || labelled ? 1L : std::max(used_[i], 1L)), 1000L);
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
  /// Expand s, or Contract s, which may be a part of a mean.
  bool only_repeated_or_summed(const node& n) const {
    return n.is<terms::applied>() && one_of<terms::expand, terms::contract>(g_[n.a].term);
  }
  bool deserves_name(node_index i) const {
    const node& n = g_[i];
    if (n.a == absent || !g_.labels[i].empty() || n.is<terms::held>() || used_[i] == 0) return false;  // 0: on its own
    if (only_ != nullptr && !(*only_)(i)) return false;
    const std::size_t length = characters(print({g_, i}, notation::text));
    const bool often = used_[i] > 1;
    if (!n.is_stream()) {
      if (n.is<terms::diag>() || is_marker(n)) return false;
      const bool again = often && one_of<terms::sum, terms::paths>(n.term);
      return length > long_operator && (is_transition_[i] || again);
    }
    const bool state = is_state(i);
    if (only_repeated_or_summed(n)) return false;
    return length > long_text || (length > short_text && (often || state)) || (often && state);
  }

  /// Left to right, a name's own definition after the term that uses it.
  void meet(node_index root, std::size_t term) {
    std::vector<node_index> later;
    walk(root, term, later);
    for (std::size_t k = 0; k < later.size(); ++k) {
      const node n = g_[later[k]];
      for (const node_index argument : {n.a, n.b})
        if (argument != absent) walk(argument, term, later);
    }
  }
  std::string next_name(node_index i) {
    if (!g_[i].is_stream()) return "M" + std::to_string(++operators_);
    return is_state(i) ? "h" + std::to_string(++states_) : "s" + std::to_string(++streams_);
  }
  void walk(node_index i, std::size_t term, std::vector<node_index>& later) {
    if (met_[i]) return;
    met_[i] = 1;
    if (is_chosen(i)) {
      n_.names.push_back(next_name(i));
      g_.labels[i] = n_.names.back();
      n_.defined.push_back(i);
      n_.first_used.push_back(term);
      later.push_back(i);
      return;
    }
    const node n = g_[i];
    if (n.is<terms::inverse_size>()) return;
    if (!g_.labels[i].empty()) {
      if (only_ != nullptr) later.push_back(i);  // its definition is told too
      return;
    }
    for (const node_index argument : {n.a, n.b})
      if (argument != absent) walk(argument, term, later);
  }

  named_terms& n_;
  workspace& g_;
  const controls_of* only_;
  std::vector<long> used_;
  std::vector<char> met_, is_transition_;
  std::vector<node_index> candidates_, chosen_;
  int states_ = 0, streams_ = 0, operators_ = 0;
};

/// Streams in one form, also inside the streams that control operators, where derivations do not look: I s = s, P (Q s)
/// = (P Q) s, and Delay in front of the stream that it delays.
class tidier final {
 public:
  explicit tidier(workspace& g) : g_(g) {}

  node_index operator()(node_index i) {
    if (seen_[i] != absent) return seen_[i];
    node_index made = is_marker(g_[i]) ? marked(i) : rebuilt(g_, i, true, [this](node_index k) { return (*this)(k); });
    if (g_[made].is<terms::applied>()) made = applied(made, g_.labels[i]);
    seen_.set(i, made);
    return made;
  }

 private:
  node_index marked(node_index i) {
    node n = g_[i];
    n.a = (*this)(n.a);
    return g_.put(n);
  }
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

term_view named_terms::of(const term_view& v) { return {g, taken(g, v)}; }

named_terms with_names(const std::vector<term_view>& terms, const named_terms* known) {
  named_terms n;
  tidier tidied(n.g);
  if (known != nullptr)
    for (const node_index i : known->terms) tidied(n.g.take(known->g, i));
  for (const term_view& t : terms) n.terms.push_back(tidied(taken(n.g, t)));
  namer(n, nullptr).name(n.terms.size(), known != nullptr ? known->names : std::deque<std::string>{});
  return n;
}

named_terms with_named_controls(const std::vector<term_view>& terms) {
  named_terms n;
  for (const term_view& t : terms) n.terms.push_back(taken(n.g, t));
  const controls_of only(n.g, n.terms.front());
  namer(n, &only).name(1, {});
  return n;
}

void distinguish_labels(expr& e, std::deque<std::string>& names) {
  for (node_index i = 0; i < e.g.size; ++i)
    for (node_index k = 0; k < e.g.size && !e.g.labels[i].empty(); ++k)
      if (e.g[k].is<terms::input>() && e.g[k].id == e.g.labels[i]) {
        names.push_back(std::string(e.g.labels[i]) + "'");
        e.g.labels[i] = names.back();
        break;
      }
}

}  // namespace alphaform
