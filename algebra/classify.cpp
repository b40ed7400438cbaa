#include <algorithm>
#include <alphaform/algebra/classify.hpp>
#include <alphaform/algebra/visit.hpp>

namespace alphaform {
namespace {

bool is_scan(const node& n) { return n.is<terms::scan>(); }
bool is_attend(const node& n) { return n.is<terms::attend>(); }
bool is_input(const node& n) { return n.is<terms::input>(); }

reach reads_of(const term_view& v) { return application_of(v, v.top().from).reads; }
bool is_two_sided(const reach& r) { return r.flipped || (r.earlier && r.later); }

/// An operator inside another one, and whether it stands there transposed.
struct place_of final {
  node_index at = absent;
  bool transposed = false;
};
/// The leftmost operator for which `is` holds.
template <class Predicate>
place_of leftmost(const term_view& v, node_index i, Predicate is, bool transposed = false) {
  const node& n = v[i];
  if (is(n)) return {i, transposed};
  if (!is_composite(n)) return {};
  const place_of left = leftmost(v, n.a, is, transposed != n.is<terms::adjoint>());
  return left.at != absent || n.b == absent ? left : leftmost(v, n.b, is, transposed);
}

/// How many tokens away an operator of filters and delays reads at most: so many times K - 1, and so many more.
struct width final {
  long filters = 0, delays = 0;

  /// "K - 1", "2", "2·(K - 1) + 1"
  std::string text() const {
    if (filters == 0) return std::to_string(delays);
    if (filters == 1 && delays > 0) return delays == 1 ? "K" : "K + " + std::to_string(delays - 1);
    if (filters == 1) return "K - 1";
    return std::to_string(filters) + "·(K - 1)" + (delays == 0 ? "" : " + " + std::to_string(delays));
  }
  std::string tokens() const {
    if (filters > 0) return text() + " tokens";
    return delays == 1 ? "one token" : "up to " + text() + " tokens";
  }
};
/// The wider of two for every K of at least 2; if that depends on K, one that is wide enough for both.
width wider(width a, width b) {
  const auto covers = [](width p, width q) {
    return p.filters >= q.filters && p.filters + p.delays >= q.filters + q.delays;
  };
  if (covers(a, b)) return a;
  if (covers(b, a)) return b;
  return {std::max(a.filters, b.filters), std::max(a.delays, b.delays)};
}
width width_of(const term_view& v, node_index i) {
  const node& n = v[i];
  if (one_of<terms::conv, terms::lags>(n.term)) return {1, 0};
  if (n.is<terms::delay>()) return {0, 1};
  if (!is_composite(n)) return {};
  const width a = width_of(v, n.a);
  if (n.b == absent) return a;
  const width b = width_of(v, n.b);
  if (n.is<terms::product>()) return {a.filters + b.filters, a.delays + b.delays};
  return wider(a, b);
}

node_index untransposed(const term_view& v, node_index i) {
  while (v[i].is<terms::adjoint>()) i = v[i].a;
  return i;
}

struct locality final {
  std::string reads, bandwidth;
};
/// How far from its own token the operator reads.
locality locality_of(const term_view& v) {
  const reach r = reads_of(v);
  const auto uses = [&v]<class... Term>(Term...) {
    return occurs_in_operators(v, [](const node& n) { return one_of<Term...>(n.term); });
  };
  const bool two_sided = is_two_sided(r);
  const std::string which = two_sided ? "all tokens" : r.later ? "all later tokens" : "all earlier tokens";
  if (uses(terms::attend{})) return {which + ", by content", "T - 1"};
  if (uses(terms::scan{})) return {which + ", fading", "T - 1"};
  if (!r.flipped && r.own_token_only()) return {"own token only", "0"};
  const bool anywhere = r.flipped || uses(terms::permute{}, terms::every_token{}, terms::over_tokens{});
  if (anywhere || (two_sided && uses(terms::reverse{}))) return {"any token", "T - 1"};
  const width w = width_of(v, v.root);
  const bool exactly = v[untransposed(v, v.root)].is<terms::delay>();
  const std::string side = two_sided ? " back and ahead" : r.later ? " ahead" : " back";
  return {(exactly ? "exactly " : "") + w.tokens() + side, w.text()};
}

/// What one factor does, in words.
struct sentence_of final {
  const term_view& v;
  const node& n;
  role is;

  std::string inputs_of(node_index s) const {
    std::vector<std::string_view> names;
    for (const node_index i : parts_of(v.at(s)))
      if (is_input(v[i])) names.push_back(v[i].id);
    std::sort(names.begin(), names.end());
    if (names == std::vector{value_input}) return "the tokens themselves control";
    std::string text = names.size() == 1 ? "the input " : "the inputs ";
    for (std::size_t k = 0; k < names.size(); ++k)
      text += (k == 0 ? "" : k + 1 == names.size() ? " and " : ", ") + std::string(names[k]);
    return text + (names.size() == 1 ? " controls" : " control");
  }
  bool controlled(node_index i) const { return occurs(v.at(i), is_input); }

  /// The recurrence or attention, whatever stands beside it.
  phrase core() const {
    const std::vector<factor> factors = factors_of(v.at(untransposed(v, v.root)));
    if (factors.size() == 1 && factors.front().is_unrolled()) {
      const factor& f = factors.front();
      if (!reads_of(v).later)
        return {
            "Decaying memory: token t reads with @ what each token s ≤ t wrote with @, faded by the decays @ of the "
            "tokens after s.",
            {f.read, f.write, f.decay}};
      return {
          "Decaying memory: token t reads with @ what each token s ≥ t wrote with @, faded by the decays @ of the "
          "tokens after t, up to s.",
          {f.write, f.read, f.decay}};
    }
    if (const place_of attend = leftmost(v, v.root, is_attend); attend.at != absent) {
      const node& k = v[attend.at];
      if (attend.transposed)
        return {"Attention: token t reads every token s ≥ t with the weight exp(q k), k of t in @ and q of s in @.",
                {k.b, k.a}};
      return {"Attention: token t reads every token s ≤ t with the weight exp(q k), q of t in @ and k of s in @.",
              {k.a, k.b}};
    }
    const place_of scan = leftmost(v, v.root, is_scan);
    if (scan.at == absent) return {"Scales what is written to the memory."};
    const reach r = reads_of(v);
    const node_index transition = v[scan.at].a;
    if (v[transition].is<terms::diag>()) {
      const std::string which = is_two_sided(r) ? "all tokens, before and after"
                                : r.later       ? "all tokens from this one on"
                                                : "all tokens so far";
      return {"Decaying memory: " + which + ", faded by @ at every step.", {v[transition].a}};
    }
    const std::string way = is_two_sided(r) ? "token to token, both ways,"
                            : r.later       ? "each token to the one before it"
                                            : "token to token";
    return {"Memory: the state is carried from " + way + " by " + (scan.transposed ? "the transpose of @." : "@."),
            {transition}};
  }
  /// A sum of filters and delays.
  std::string shift() const {
    const width w = width_of(v, v.root);
    const reach r = reads_of(v);
    if (w.filters == 0 && w.delays == 1 && !is_two_sided(r))
      return std::string("Token shift: mixes each token with the one ") + (r.later ? "after it." : "before it.");
    return "Local filter: mixes each token with its neighbours, " + locality_of(v).reads + ".";
  }

  phrase operator()(terms::diag) const {
    const node_index s = n.a;
    switch (is) {
      case role::normaliser: {
        for (const node_index i : parts_of(v.at(s)))
          if (v[i].is<terms::applied>() && v[v[i].b].is<terms::one>()) {
            const bool bounded = occurs(v.at(s), [](const node& k) { return k.is<terms::larger>(); });
            return {bounded ? "Normalises: divides every row of @ by its sum, unless that is below 1."
                            : "Normalises: divides every row of @ by its sum, so that a token's weights sum to one.",
                    {v[i].a}};
          }
        return {"Normalises every row."};
      }
      case role::skip:
        return {"Skip: the token itself, past the memory, scaled by @.", {s}};
      case role::norm:
        return controlled(s) ? phrase{"Norm: scales every token by the size of its own channels."}
                             : phrase{"Norm: scales every channel by @, alike for every token.", {s}};
      case role::activation:
        return {"Modulates what token s passes on by @, which " + inputs_of(s) + ".", {s}};
      case role::core:
        return {"Scales what each token writes by @.", {s}};
      default:
        break;
    }
    if (!controlled(s)) return {"Scales every channel by @, the same for every token and text.", {s}};
    return {"Gate: scales what token t receives by @, which " + inputs_of(s) + ".", {s}};
  }
  phrase operator()(terms::conv) const {
    return {"Local filter: mixes each token with the K - 1 tokens before it, with the same weights for every text."};
  }
  phrase operator()(terms::lags) const { return {"Lays the last K tokens side by side."}; }
  phrase operator()(terms::delay) const { return {"Earlier tokens only: everything arrives one token later."}; }
  phrase operator()(terms::reverse) const { return {"Reads the tokens from last to first."}; }
  phrase operator()(terms::permute) const { return {"Reads the tokens in the order @.", {n.a}}; }
  phrase operator()(terms::scan) const { return core(); }
  phrase operator()(terms::attend) const { return core(); }
  phrase operator()(terms::mix) const { return {"Mixes the entries of one token, alike for every token."}; }
  phrase operator()(terms::expand) const { return {"Repeats the stream along a new axis."}; }
  phrase operator()(terms::contract) const { return {"Sums over an axis."}; }
  phrase operator()(terms::every_token) const { return {"Gives every token the same."}; }
  phrase operator()(terms::over_tokens) const { return {"Sums over all tokens."}; }
  phrase operator()(terms::embed) const { return {"Reads real numbers as complex ones."}; }
  phrase operator()(terms::real) const { return {"Takes the real part."}; }
  phrase operator()(terms::turn) const { return {"Multiplies by i."}; }
  phrase operator()(terms::rownorm) const { return {"Rows sum to one: each row of @ divided by its sum.", {n.a}}; }
  phrase operator()(terms::bounded_rownorm) const {
    return {"Each row of @ divided by the larger of its sum and 1.", {n.a}};
  }
  phrase operator()(terms::adjoint) const {
    const reach r = reads_of(v);
    const node& own = v[untransposed(v, n.a)];
    if (own.is<terms::conv>() && r.later)
      return {"Local filter: mixes each token with the K - 1 tokens after it, with the same weights for every text."};
    if (own.is<terms::delay>() && r.later) return {"Later tokens only: everything arrives one token earlier."};
    return {"The transpose of @.", {n.a}};
  }
  phrase operator()(terms::retimed) const { return {"In reversed time, one token later: @.", {n.a}}; }
  phrase operator()(terms::identity) const {
    return {is == role::skip ? "Skip: the token itself, past the memory." : "Passes the token itself."};
  }
  phrase operator()(terms::zero) const { return {"Contributes nothing."}; }
  phrase operator()(terms::sum) const {
    if (is == role::filter) return {shift()};
    if (is == role::norm) return {"Norm: subtracts the mean over the channels of the token."};
    return {"Adds several paths."};
  }
  phrase operator()(terms::paths) const { return {"Adds several paths."}; }
  phrase operator()(terms::product) const { return {"Acts from right to left."}; }
  phrase operator()(terms::frozen) const { return {"Refused: what @ contributes is not known.", {n.a}}; }
  template <class Term>
  requires(among<Term, terms::derivative, terms::controls> || only_in_rules<Term>) phrase operator()(Term) const {
    return {"Not written out."};
  }
  template <class Term>
  requires(Term::is == sort::stream) phrase operator()(Term) const {
    throw internal_error("a stream has no role as a factor");
  }
};

std::string_view bias_of(role r) {
  switch (r) {
    case role::filter:
      return "Local and smooth: neighbouring tokens get alike attention.";
    case role::activation:
      return "Sparse and non-linear: columns of H close and open with the data.";
    case role::gate:
      return "Sparse and non-linear: rows of H close and open with the data.";
    case role::core:
      return "Long range at linear cost: entries of H are products of decays, so that near tokens count more "
             "unless the data holds the memory.";
    case role::normaliser:
      return "Rows compete: more attention to one token is less to others, as with softmax.";
    case role::skip:
      return "Keeps a direct way: the diagonal of H does not depend on the memory.";
    case role::norm:
      return "A scale for each row or column that the data sets, as the divisor of softmax does.";
    case role::projection:
      return "Channels combine: H is no matrix over tokens alone.";
    case role::other:
      break;
  }
  return "None of its own.";
}

std::string order(const size_polynomial& p) { return "O(" + p.order().text() + ")"; }

/// Along which axes the operator is another one for each entry.
axes varies_along(const term_view& v, node_index i) {
  const node& n = v[i];
  if (n.is<terms::diag>()) return differs_along(v, n.a);
  if (n.is<terms::conv>()) return v[n.a].to - tap;
  if (n.is<terms::mix>()) return v[n.a].to - n.to - n.from;
  if (n.is<terms::attend>()) return (differs_along(v, n.a) | differs_along(v, n.b)) - state;
  axes all{};
  if (is_composite(n))
    for (const node_index k : {n.a, n.b})
      if (k != absent) all = all | varies_along(v, k);
  return all;
}

/// "H·C (one for each head and each channel)"
std::string matrices_text(axes alone, axes mixed) {
  std::string letters, words;
  for (const axis_letter& l : axis_letters) {
    if (!(alone | mixed).contains(l.axis) || l.axis == part) continue;
    const bool pair = mixed.contains(l.axis);
    letters += (letters.empty() ? "" : "·") + std::string(l.letter) + (pair ? "²" : "");
    words += (words.empty() ? "one for each " : " and each ") + std::string(pair ? "pair of " : "") +
             std::string(l.word) + (pair ? "s" : "");
  }
  return letters.empty() ? "1 (the same for every channel)" : letters + " (" + words + ")";
}

std::string direction_of(const reach& r) {
  if (is_two_sided(r)) return "two-sided";
  return r.later ? "anti-causal" : "causal";
}

std::vector<query_cost> costs_of(const application& a, axes value, bool tensor) {
  const size_polynomial whole = a.operations, plane = size_polynomial::monomial("TT");
  size_polynomial one = whole;
  for (const axis_letter& l : axis_letters)
    if (value.contains(l.axis) && l.axis != part) one = one.over(l.letter.front());
  return {{"H x, or Hᵀ g", order(whole * "T"), order(a.memory), "one pass over the tokens"},
          {"a row or a column of every matrix", order(whole * "T"), order(a.memory), "one adjoint or forward pass"},
          {tensor ? "the matrix of one pair" : "one matrix", order((tensor ? whole : one) * "TT"), order(plane),
           "one pass for each row"},
          {"the mean over all matrices", order(whole * "TT"), order(plane), "in blocks; never all matrices at once"}};
}

}  // namespace

std::string_view text_of(attention_class c) {
  constexpr std::array names{"explicit", "implicit", "tensor"};
  return names[static_cast<std::size_t>(c)];
}

axes differs_along(const term_view& v, node_index stream) {
  const node& n = v[stream];
  if (n.is<terms::applied>() && v[n.a].is<terms::expand>()) return differs_along(v, n.b);
  if (n.is<terms::function>()) return differs_along(v, n.a);
  if (one_of<terms::times, terms::plus, terms::larger>(n.term)) return differs_along(v, n.a) | differs_along(v, n.b);
  return n.to;
}

attention_properties classify(const term_view& H, axes value) {
  attention_properties p;
  workspace& g = p.H.g;
  p.H.root = roles::opened(g, taken(g, H));
  const term_view v = p.H;
  const application a = application_of(v, value);
  const axes kept = value | a.to, mixed = a.mixes & kept, alone = (varies_along(v, v.root) & kept) - mixed;
  const bool tensor = mixed != no_axes;
  const bool attends = occurs_in_operators(v, is_attend),
             carries = occurs_in_operators(v, [](const node&n) { return one_of<terms::scan, terms::conv>(n.term); });
  p.is = tensor                                              ? attention_class::tensor
         : (attends && !carries) || a.reads.own_token_only() ? attention_class::explicit_
                                                             : attention_class::implicit;
  p.data_controlled = occurs(v, is_input);
  p.direction = direction_of(a.reads);
  p.causal = p.direction == "causal";
  p.operations = (a.operations * "T").text();
  p.matrices = matrices_text(alone, mixed);
  p.costs = costs_of(a, value, tensor);
  std::vector<std::pair<role, node_index>> units;
  map_roles(g, p.H.root, value_input, [&units](role r, node_index unit) {
    units.emplace_back(r, unit);
    return unit;
  });
  for (const auto& [r, unit] : units) {
    const term_view factor(g, unit);
    sentence_of visitor{factor, factor.top(), r};
    const bool compound = r == role::core && !factor.top().is<terms::diag>();
    const locality l = locality_of(factor);
    p.factors.push_back({unit, r, compound ? visitor.core() : visit<phrase>(factor.top().term, visitor), l.reads,
                         l.bandwidth, bias_of(r)});
  }
  return p;
}

attention_properties classify(const term_view& H) { return classify(H, H.top().from); }

}  // namespace alphaform
