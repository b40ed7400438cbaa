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
size_polynomial entries(axes a, long times = 1) { return size_polynomial::monomial(letters_of(a), times); }

/// T before H, C, N, R, K: the order in which sizes are written.
bool written_before(char a, char b) {
  constexpr std::string_view order = "THCNRK";
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

struct counter final {
  const term_view& v;
  const node& n;
  axes in;

  application nested(node_index i, axes on) const {
    counter inner{v, v[i], on};
    return visit<application>(v[i].term, inner);
  }
  static application joined(const application& first, application second) {
    second.operations += first.operations;
    second.memory += first.memory;
    second.mixes_tokens |= first.mixes_tokens;
    second.mixes_channels |= first.mixes_channels;
    second.causal &= first.causal;
    return second;
  }
  [[noreturn]] static application refuse() { throw user_error("a marker or a stream has no cost as an operator"); }

  application operator()(terms::identity) const { return {{}, {}, in}; }
  application operator()(terms::zero) const { return {{}, {}, in}; }
  application operator()(terms::diag) const { return {entries(in), {}, in}; }
  application operator()(terms::conv) const {
    application a{entries(in, -1), entries(in) * "K", in, true};
    a.operations += size_polynomial::monomial(letters_of(in) + "K", 2);
    return a;
  }
  application operator()(terms::delay) const { return {{}, entries(in), in, true}; }
  application operator()(terms::scan) const {
    application a = nested(n.a, in);
    a.operations += entries(in);
    a.memory += entries(in);
    a.mixes_tokens = true;
    return a;
  }
  application operator()(terms::mix) const {
    const axes to = after({n.from, n.to}, in);
    application a{entries(to, -1), {}, to, false, (n.from | n.to).touches(chan)};
    a.operations += size_polynomial::monomial(letters_of(to) + letters_of(n.from), 2);
    return a;
  }
  application operator()(terms::expand) const { return {{}, {}, in | n.to, false, n.to.touches(chan)}; }
  application operator()(terms::contract) const {
    application a{entries(in), {}, in - n.from, false, n.from.touches(chan)};
    a.operations += entries(a.to, -1);
    return a;
  }
  application operator()(terms::rownorm) const {
    application a = nested(n.a, in);
    a.operations += entries(a.to);
    return a;
  }
  application operator()(terms::sum) const {
    application a = joined(nested(n.a, in), nested(n.b, in));
    a.operations += entries(a.to);
    return a;
  }
  application operator()(terms::product) const {
    const application first = nested(n.b, in);
    return joined(first, nested(n.a, first.to));
  }
  application operator()(terms::frozen) const { refuse(); }
  application operator()(terms::any_operator) const { refuse(); }
  template <class Term>
  requires(Term::is == sort::stream) application operator()(Term) const { refuse(); }
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

std::optional<std::string> operations_of(const term_view& v) {
  if (occurs(v, [](const node& n) { return n.is<terms::frozen>(); })) return {};
  return (application_of(v, v.top().from).operations * "T").text();
}

}  // namespace alphaform
