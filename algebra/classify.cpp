#include <algorithm>
#include <alphaform/algebra/classify.hpp>
#include <alphaform/algebra/visit.hpp>

namespace alphaform {
namespace {

/// Where a factor stands: left of everything that mixes tokens it scales rows of H, otherwise columns.
struct place_in_product final {
  bool mixing_to_the_left = false, in_sum = false;
};

struct role_of final {
  const term_view& v;
  const node& n;
  place_in_product place;

  bool controlled(node_index i) const {
    return occurs(v.at(i), [](const node& k) { return k.is<terms::input>(); });
  }
  bool by_value(node_index i) const {
    return occurs(v.at(i), [](const node& k) { return k.is<terms::input>() && k.id == value_input; });
  }
  std::string input_of(node_index s) const {
    std::string name;
    for (const node_index i : parts_of(v.at(s)))
      if (v[i].is<terms::input>()) name = v[i].id;
    return name;
  }
  /// 1 / (P 1)
  bool normalises_rows(node_index s) const {
    return v[s].function == function_code<functions::reciprocal> && v[v[s].a].is<terms::applied>() &&
           v[v[v[s].a].b].is<terms::one>();
  }

  phrase operator()(terms::diag) const {
    const node_index s = n.a;
    if (normalises_rows(s))
      return {"Normalises: divides every row of @ by its sum, so that a token's weights sum to one.", {v[v[s].a].a}};
    if (place.in_sum) return {"Skip: the token itself, past the memory, scaled by @.", {s}};
    if (!controlled(s)) return {"Scales every channel by @, the same for every token and text.", {s}};
    const std::string who = by_value(s) ? "the tokens themselves control" : "the input " + input_of(s) + " controls";
    if (place.mixing_to_the_left) return {"Modulates what token s passes on by @, which " + who + ".", {s}};
    return {"Gate: scales what token t receives by @, which " + who + ".", {s}};
  }
  phrase operator()(terms::conv) const {
    return {"Local filter: mixes each token with the K - 1 tokens before it, with the same weights for every text."};
  }
  phrase operator()(terms::delay) const { return {"Earlier tokens only: everything arrives one token later."}; }
  phrase operator()(terms::scan) const {
    if (!v[n.a].is<terms::diag>()) return {"Memory: the state is carried from token to token by @.", {n.a}};
    return {"Decaying memory: all tokens so far, faded by @ at every step.", {v[n.a].a}};
  }
  phrase operator()(terms::mix) const { return {"Mixes the entries of one token, alike for every token."}; }
  phrase operator()(terms::expand) const { return {"Repeats the stream along a new axis."}; }
  phrase operator()(terms::contract) const { return {"Sums over an axis."}; }
  phrase operator()(terms::rownorm) const { return {"Rows sum to one: each row of @ divided by its sum.", {n.a}}; }
  phrase operator()(terms::identity) const { return {"Passes the token itself."}; }
  phrase operator()(terms::zero) const { return {"Contributes nothing."}; }
  phrase operator()(terms::sum) const { return {"Adds several paths."}; }
  phrase operator()(terms::product) const { return {"Acts from right to left."}; }
  phrase operator()(terms::frozen) const { return {"Refused: what @ contributes is not known.", {n.a}}; }
  phrase operator()(terms::any_operator) const { return {"Any operator."}; }
  template <class Term>
  requires(Term::is == sort::stream) phrase operator()(Term) const {
    throw internal_error("a stream has no role as a factor");
  }
};

bool mixes_tokens(const term_view& v, const factor& f) {
  return f.is_unrolled() || occurs(v.at(f.term), [](const node& n) {
           return n.is<terms::scan>() || n.is<terms::conv>() || n.is<terms::delay>();
         });
}

/// Collects roles; sums are told summand by summand, labelled products factor by factor.
void tell(const term_view& v, place_in_product place, std::vector<factor_role>& roles) {
  for (const factor& f : factors_of(v)) {
    const node& n = v[f.term];
    if (f.is_unrolled()) {
      roles.push_back(
          {f,
           {"Decaying memory: token t reads with @ what each token s ≤ t wrote with @, faded by the decays @ "
            "of the tokens after s.",
            {f.read, f.write, f.decay}}});
    } else if (n.is<terms::sum>()) {
      for (const node_index i : summands_of(v.at(f.term))) tell(v.at(i), {place.mixing_to_the_left, true}, roles);
    } else if (n.is<terms::product>()) {
      tell(v.at(f.term), place, roles);
    } else {
      role_of visitor{v, n, place};
      roles.push_back({f, visit<phrase>(n.term, visitor)});
    }
    place.mixing_to_the_left |= n.is<terms::diag>() ? false : mixes_tokens(v, f);
  }
}

std::string order(const size_polynomial& p) { return "O(" + p.order().text() + ")"; }

}  // namespace

std::string_view text_of(attention_class c) {
  constexpr std::array names{"explicit", "implicit", "tensor"};
  return names[static_cast<std::size_t>(c)];
}

attention_properties classify(const term_view& H) {
  const application a = application_of(H, H.top().from);
  attention_properties p;
  p.is = a.mixes_channels ? attention_class::tensor
         : a.mixes_tokens ? attention_class::implicit
                          : attention_class::explicit_;
  p.data_controlled = occurs(H, [](const node& n) { return n.is<terms::input>(); });
  p.causal = a.causal;
  p.operations = (a.operations * "T").text();
  const bool tensor = a.mixes_channels;
  p.matrices = tensor ? "C² (one for each pair of channels)" : "C (one for each channel)";
  const size_polynomial whole = a.operations, plane = size_polynomial::monomial("TT");
  p.costs = {
      {"H x, or Hᵀ g", order(whole * "T"), order(a.memory), "one pass over the tokens"},
      {"a row or a column of every channel", order(whole * "T"), order(a.memory), "one adjoint or forward pass"},
      {tensor ? "the matrix of one pair of channels" : "the matrix of one channel",
       order(tensor ? whole * "TT" : whole.over('C') * "TT"), order(plane), "one pass for each row"},
      {"the mean matrix over channels", order(whole * "TT"), order(plane), "in blocks; never C matrices at once"}};
  tell(H, {}, p.factors);
  return p;
}

}  // namespace alphaform
