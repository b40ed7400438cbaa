#include <algorithm>
#include <alphaform/backends/reference/scan_law.hpp>
#include <vector>

namespace alphaform {
namespace {

using Eigen::MatrixXd;
using Eigen::VectorXd;

constexpr double rounding = 1e-12;

/// A step as a pair: h -> P h + u.
struct pair final {
  MatrixXd P;
  VectorXd u;
};
pair after(const pair& later, const pair& earlier) { return {later.P * earlier.P, later.P * earlier.u + later.u}; }

double scale_of(const MatrixXd& m) { return m.size() == 0 ? 0 : m.cwiseAbs().maxCoeff(); }
double miss(const MatrixXd& a, const MatrixXd& b) {
  const double scale = std::max(scale_of(b), 1e-300);
  return scale_of(a - b) / scale;
}
double miss(const pair& a, const pair& b) { return std::max(miss(a.P, b.P), miss(a.u, b.u)); }

pair composed(const std::vector<pair>& steps, std::size_t begin, std::size_t end) {
  if (end - begin == 1) return steps[begin];
  const std::size_t middle = (begin + end) / 2;
  return after(composed(steps, middle, end), composed(steps, begin, middle));
}

/// The most entries of a row that are not 0.
std::size_t most_in_a_row(const MatrixXd& pattern) {
  Eigen::Index most = 0;
  for (Eigen::Index i = 0; i < pattern.rows(); ++i) most = std::max(most, (pattern.row(i).array() != 0).count());
  return static_cast<std::size_t>(most);
}

/// What can be said of the pairs of a recurrence, one for each token.
void measure(const std::vector<pair>& steps, scan_law& law) {
  const pair &a = steps[0], &b = steps[1], &c = steps[2];
  const pair one{MatrixXd::Identity(a.P.rows(), a.P.cols()), VectorXd::Zero(a.u.size())};
  law.associative = miss(after(after(c, b), a), after(c, after(b, a)));
  law.neutral = std::max(miss(after(one, a), a), miss(after(a, one), a));
  law.commutator = miss(after(a, b), after(b, a));
  VectorXd h = VectorXd::Zero(a.u.size());
  MatrixXd single = MatrixXd::Zero(a.P.rows(), a.P.cols()), two = single;
  for (std::size_t t = 0; t < steps.size(); ++t) {
    h = steps[t].P * h + steps[t].u;
    single += steps[t].P.cwiseAbs();
    if (t > 0) two += (steps[t].P * steps[t - 1].P).cwiseAbs();
  }
  law.sequential = miss(composed(steps, 0, steps.size()).u, h);
  law.numbers = most_in_a_row(single);
  law.composed = most_in_a_row(two);
}

}  // namespace

std::string scan_law::refusal() const {
  if (affine > rounding) return "the step is not affine in the state: a gate reads it, so steps are no pairs (P, u)";
  if (associative > rounding || sequential > rounding) return "composed steps are not the recurrence";
  if (neutral > rounding) return "no step is neutral";
  if (composed > numbers)
    return "a product of two transitions has more entries than a transition: composing costs more than stepping";
  if (mixes_state) return "a transition is a matrix over the state: composing costs its cube";
  return {};
}

scan_law law_of(const expr& step, const witness& w) {
  workspace g;
  const node_index y = g.take(step.g, step.root), h = variable(g, y, previous_state);
  const node_index J = derivative_of(g, y, h);
  if (left_over(g, J) != absent) throw user_error("the step has no derivative with respect to the state");
  memo seen;
  const node_index at_zero =
      exhaust(g, replaced(g, y, h, g.put({.term = term_code<terms::nothing>, .to = g[h].to}), seen), bookkeeping);
  const auto view = [&g](node_index i) { return term_view(g, i); };
  const axes has = g[h].to;
  const MatrixXd P = w.matrix(view(J), has);
  const VectorXd value = w.value(view(y), has), state = w.value(view(h), has), fed = w.value(view(at_zero), has);
  scan_law law;
  law.affine = miss(P * state + fed, value);
  law.mixes_state = (signature_of(g, J).mixes - part) != no_axes;
  const auto tokens = static_cast<Eigen::Index>(w.sizes().tokens);
  if (tokens < 3) throw user_error("a scan law is computed on three tokens or more");
  if (!works_within_tokens(g, J)) throw user_error("the step mixes tokens: it is no step of a recurrence");
  const Eigen::Index width = P.rows() / tokens;
  std::vector<pair> steps;
  for (Eigen::Index t = 0; t < tokens; ++t)
    steps.push_back({P.block(t * width, t * width, width, width), fed.segment(t * width, width)});
  measure(steps, law);
  return law;
}

scan_law law_of_transition(const term_view& transition, const witness& w) {
  expr P;
  std::vector<node_index> copied(transition.nodes.size(), absent);
  P.root = copy_term(P.g, transition, transition.root, copied);
  const axes has = P.top().from == no_axes ? chan : P.top().from;
  const expr h = build::leaf<terms::input>(previous_state, has), u = build::leaf<terms::input>("u", has);
  return law_of(build::with<terms::plus>(build::with<terms::applied>(P, h), u), w);
}

std::vector<scan_and_law> laws_in(const term_view& v, const witness& w) {
  std::vector<scan_and_law> laws;
  for (const node_index i : parts_of(v))
    if (v[i].is<terms::scan>()) laws.push_back({i, law_of_transition(v.at(v[i].a), w)});
  return laws;
}

}  // namespace alphaform
