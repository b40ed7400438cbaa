#include <algorithm>
#include <alphaform/algebra/cost.hpp>
#include <alphaform/algebra/visit.hpp>

namespace alphaform {
namespace {

std::string letters_of(axes a) {
  std::string letters;
  for (const axis_letter& l : axis_letters)
    if (a.contains(l.axis)) letters += l.letter;
  return letters;
}
size_polynomial entries(axes a, long times = 1) {
  return size_polynomial::monomial(letters_of(a - part), a.contains(part) ? 2 * times : times);
}

/// T before G, H, C, N, R, K: the order in which sizes are written.
bool written_before(char a, char b) {
  constexpr std::string_view order = "TGHCNRK";
  return order.find(a) < order.find(b);
}
bool divides(const std::string& a, const std::string& b) {
  return std::includes(b.begin(), b.end(), a.begin(), a.end(), written_before);
}
std::string without(const std::string& a, const std::string& b) {
  std::string rest;
  std::set_difference(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(rest), written_before);
  return rest;
}
std::string spelled(long times, const std::string& letters) {
  std::string text = times == 1 && !letters.empty() ? "" : std::to_string(times);
  for (std::size_t k = 0; k < letters.size();) {
    const std::size_t end = std::min(letters.find_first_not_of(letters[k], k), letters.size());
    text += (text.empty() ? "" : "·") + letters.substr(k, 1) + (end - k == 2 ? "²" : end - k == 3 ? "³" : "");
    k = end;
  }
  return text;
}

/// P Q, where `first` is Q.
reach in_series(reach first, reach second) {
  if (first.flipped) std::swap(second.earlier, second.later);
  return {first.earlier || second.earlier, first.later || second.later, first.flipped != second.flipped};
}
reach in_parallel(reach a, reach b) {
  if (a.flipped != b.flipped) return {true, true, a.flipped};
  return {a.earlier || b.earlier, a.later || b.later, a.flipped};
}

struct counter final {
  const term_view& v;
  const node& n;
  axes in;

  application nested(node_index i, axes on) const {
    counter inner{v, v[i], on};
    return visit<application>(v[i].term, inner);
  }
  /// The node's own operator costs so much.
  application costs(size_polynomial operations, size_polynomial memory = {}, reach reads = {}) const {
    return {std::move(operations), std::move(memory), after({n.from, n.to}, in), reads, no_axes};
  }
  application mixing(application a) const {
    a.mixes = n.from | n.to;
    return a;
  }
  static application joined(const application& first, application second) {
    second.operations += first.operations;
    second.memory += first.memory;
    second.mixes = second.mixes | first.mixes;
    return second;
  }
  application added() const {
    const application left = nested(n.a, in), right = nested(n.b, in);
    application a = joined(left, right);
    a.reads = in_parallel(left.reads, right.reads);
    a.operations += entries(a.to);
    return a;
  }
  application composed(const application& first, node_index i) const {
    const application second = nested(i, first.to);
    application a = joined(first, second);
    a.reads = in_series(first.reads, second.reads);
    return a;
  }
  [[noreturn]] static application refuse() { throw user_error("a marker or a stream has no cost as an operator"); }

  application operator()(terms::identity) const { return costs({}); }
  application operator()(terms::zero) const { return costs({}); }
  application operator()(terms::diag) const { return costs(entries(in)); }
  application operator()(terms::conv) const {
    size_polynomial operations = entries(in, 2) * "K";
    operations += entries(in, -1);
    return costs(operations, entries(in) * "K", {true});
  }
  application operator()(terms::lags) const { return mixing(costs({}, entries(in) * "K", {true})); }
  application operator()(terms::delay) const { return costs({}, entries(in), {true}); }
  application operator()(terms::reverse) const { return costs({}, entries(in) * "T", {false, false, true}); }
  application operator()(terms::permute) const { return costs({}, entries(in) * "T", {true, true}); }
  application operator()(terms::every_token) const { return costs({}, entries(in), {true, true}); }
  application operator()(terms::over_tokens) const { return costs(entries(in), entries(in), {true, true}); }
  application operator()(terms::scan) const {
    application a = nested(n.a, in);
    a.operations += entries(in);
    a.memory += entries(in);
    a.reads.earlier = true;
    return a;
  }
  /// Of the T (T + 1) / 2 pairs of tokens each takes 2 N for exp(q k) and 2 for every entry.
  application operator()(terms::attend) const {
    const size_polynomial pair = [&] {
      size_polynomial both = entries(n.from | state);
      both += entries(in);
      return both;
    }();
    application a = costs(pair, pair * "T", {true});
    a.operations += pair * "T";
    return a;
  }
  application operator()(terms::mix) const {
    const axes to = after({n.from, n.to}, in);
    size_polynomial operations = entries(to, 2) * letters_of(n.from);
    operations += entries(to, -1);
    return mixing(costs(operations));
  }
  application operator()(terms::expand) const { return mixing(costs({})); }
  application operator()(terms::contract) const {
    size_polynomial operations = entries(in);
    operations += entries(in - n.from, -1);
    return mixing(costs(operations));
  }
  application operator()(terms::embed) const { return costs({}); }
  application operator()(terms::real) const { return costs({}); }
  application operator()(terms::turn) const { return costs(entries(in - part)); }
  application operator()(terms::rownorm) const {
    application a = nested(n.a, in);
    a.operations += entries(a.to);
    return a;
  }
  application operator()(terms::bounded_rownorm) const { return (*this)(terms::rownorm{}); }
  /// As many products as untransposed, and a sum where a value was used more than once.
  application operator()(terms::adjoint) const {
    const axes to = after({n.from, n.to}, in);
    application a = nested(n.a, to);
    if (v[n.a].is<terms::mix>()) {
      a.operations = entries(to, 2) * letters_of(n.from);
      a.operations += entries(to, -1);
    }
    a.to = to;
    std::swap(a.reads.earlier, a.reads.later);
    return a;
  }
  application operator()(terms::retimed) const { return nested(n.a, in); }
  application operator()(terms::sum) const { return added(); }
  application operator()(terms::paths) const { return added(); }
  application operator()(terms::product) const { return composed(nested(n.b, in), n.a); }
  application operator()(terms::frozen) const { return on_value_path(n.a); }
  template <class Term>
  requires(among<Term, terms::derivative, terms::controls> || only_in_rules<Term>) application operator()(Term) const {
    refuse();
  }
  template <class Term>
  requires(Term::is == sort::stream) application operator()(Term) const { refuse(); }

  /// F(s): what the rules of class frozen make of it.
  application on_value_path(node_index i) const {
    const node& s = v[i];
    const bool independent = i != n.b && !occurs(v.at(i), [&](const node& k) { return k == v[n.b]; });
    if (i == n.b || independent) return {{}, {}, after({n.from, s.to}, in), {}, no_axes};
    if (s.is<terms::applied>()) return composed(on_value_path(s.b), s.a);
    if (s.is<terms::plus>()) {
      const application left = on_value_path(s.a), right = on_value_path(s.b);
      application a = joined(left, right);
      a.reads = in_parallel(left.reads, right.reads);
      a.operations += entries(a.to);
      return a;
    }
    if (s.a == absent) return {{}, {}, after({n.from, s.to}, in), {}, no_axes};
    application a = on_value_path(s.a);
    a.operations += entries(a.to);
    return a;
  }
};

}  // namespace

size_polynomial size_polynomial::monomial(const std::string& letters, long times) {
  size_polynomial p;
  std::string sorted = letters;
  std::stable_sort(sorted.begin(), sorted.end(), written_before);
  p.terms_[sorted] = times;
  return p;
}

size_polynomial& size_polynomial::operator+=(const size_polynomial& other) {
  for (const auto& [letters, times] : other.terms_) terms_[letters] += times;
  std::erase_if(terms_, [](const auto& term) { return term.second == 0; });
  return *this;
}

size_polynomial size_polynomial::operator*(const std::string& letters) const {
  size_polynomial p;
  for (const auto& [own, times] : terms_) p += monomial(own + letters, times);
  return p;
}

size_polynomial size_polynomial::over(char letter) const {
  size_polynomial p;
  for (const auto& [letters, times] : terms_) p += monomial(without(letters, std::string(1, letter)), times);
  return p;
}

size_polynomial size_polynomial::order() const {
  size_polynomial p;
  for (const auto& [letters, times] : terms_) {
    const bool outgrown = std::any_of(terms_.begin(), terms_.end(), [&letters = letters](const auto& other) {
      return other.first != letters && divides(letters, other.first);
    });
    if (!outgrown) p.terms_[letters] = 1;
  }
  return p;
}

std::string size_polynomial::text() const {
  if (terms_.empty()) return "0";
  std::string common = terms_.begin()->first;
  for (const auto& [letters, times] : terms_) common = without(common, without(common, letters));
  std::vector<std::pair<std::string, long>> parts;
  for (const auto& [letters, times] : terms_) parts.emplace_back(without(letters, common), times);
  const auto rank = [](const std::string& s) { return s.empty() ? 9 : std::string_view("THCNRK").find(s.front()); };
  std::stable_sort(parts.begin(), parts.end(),
                   [&](const auto& a, const auto& b) { return rank(a.first) < rank(b.first); });
  if (parts.size() == 1) return spelled(parts.front().second, common);
  std::string text;
  for (const auto& [letters, times] : parts)
    text += (text.empty() ? (times < 0 ? "-" : "") : times < 0 ? " - " : " + ") + spelled(std::abs(times), letters);
  return common.empty() ? text : spelled(1, common) + "·(" + text + ")";
}

application application_of(const term_view& v, axes in) {
  counter c{v, v.top(), in};
  return visit<application>(v.top().term, c);
}

std::optional<std::string> operations_of(const term_view& v, axes in) {
  if (occurs(v, [](const node& n) { return n.is<terms::derivative>() || n.is<terms::controls>(); })) return {};
  return (application_of(v, in).operations * "T").text();
}

}  // namespace alphaform
