#include <alphaform/algebra/planning.hpp>
#include <alphaform/algebra/recurrence.hpp>
#include <set>

namespace alphaform {
namespace {

class counter final {
 public:
  counter(const term_view& v, const plan_sizes& sizes) : v_(v), sizes_(sizes) {}

  operator_cost total() const { return cost_; }

  /// Adds the cost of the stream at `i` if it was not evaluated before.
  void stream(node_index i) {
    if (!evaluated_.insert(i).second) return;
    const node& n = v_[i];
    if (n.is<terms::inverse_size>()) return;
    if (n.is<terms::applied>()) {
      stream(n.b);
      operation(n.a, v_[n.b].to);
      return;
    }
    if (n.a != absent) stream(n.a);
    if (n.b != absent) stream(n.b);
    if (one_of<terms::function, terms::times, terms::plus, terms::larger, terms::peak, terms::prior_peak>(n.term)) {
      const double entries = sizes_.entries(n.to) * tokens_of(i);
      spend(entries, 2 * entries);
    }
  }

  /// Adds the cost of applying the operator at `i` to a stream with the axes `in`; what it makes.
  axes operation(node_index i, axes in) {
    const node& n = v_[i];
    const axes out = after({n.from, n.to}, in);
    const double read = sizes_.entries(in) * sizes_.tokens, written = sizes_.entries(out) * sizes_.tokens;
    if (is_marker(n) || n.is<terms::any_operator>() || n.is<terms::retimed>())
      throw user_error("an operator with a marker in it has no cost");
    if (n.is<terms::product>()) return operation(n.a, operation(n.b, in));
    if (n.is<terms::sum>() || n.is<terms::paths>()) {
      operation(n.a, in);
      operation(n.b, in);
      spend(written, 3 * written);
      return out;
    }
    if (n.is<terms::identity>() || n.is<terms::zero>()) return out;
    if (n.is<terms::diag>()) {
      stream(n.a);
      spend(read, read + written + sizes_.entries(v_[n.a].to) * tokens_of(n.a));
      return out;
    }
    if (n.is<terms::conv>() || n.is<terms::mix>()) stream(n.a);
    if (n.is<terms::conv>()) spend((2 * sizes_.taps - 1) * read, read + written);
    if (n.is<terms::lags>()) spend(0, read + written);
    if (n.is<terms::mix>())
      spend((2 * sizes_.entries(n.from) - 1) * written, read + written + sizes_.entries(n.from | n.to));
    if (n.is<terms::contract>()) spend(read - written, read + written);
    if (one_of<terms::delay, terms::reverse, terms::permute, terms::turn, terms::embed, terms::real, terms::every_token,
               terms::over_tokens>(n.term))
      spend(0, read + written);
    if (n.is<terms::attend>()) {
      stream(n.a);
      stream(n.b);
      spend(sizes_.tokens * (2 * sizes_.states * sizes_.tokens * sizes_.entries(n.from & head) + 2 * read),
            read * sizes_.tokens);
    }
    if (n.is<terms::scan>()) {
      operation(n.a, in);
      spend(read, read + written);
    }
    if (n.is<terms::rownorm>() || n.is<terms::bounded_rownorm>()) {
      operation(n.a, in);
      operation(n.a, in);
      spend(written, 3 * written);
    }
    if (n.is<terms::adjoint>()) operation(n.a, out);
    return out;  // Expand repeats without storing
  }

 private:
  double tokens_of(node_index i) const { return same_for_every_token(v_.nodes, i) ? 1 : sizes_.tokens; }
  void spend(double operations, double numbers) {
    cost_.operations += operations;
    cost_.numbers += numbers;
  }

  const term_view& v_;
  const plan_sizes& sizes_;
  operator_cost cost_;
  std::set<node_index> evaluated_;
};

constexpr scheme everywhere{bookkeeping.classes, true};

/// The rule applied at `i`, and again wherever it applies in what it makes; `absent` if it does not apply.
node_index applied_again(const rule& u, workspace& g, node_index i) {
  node_index made = fire(u, g, i);
  for (int times = made == absent ? 0 : 1; times != 0;) {
    memo seen;
    times = 0;
    made = pass(u, g, made, seen, times);
  }
  return made;
}

bool cheaper(const operator_cost& a, const operator_cost& b) {
  return a.operations <= b.operations && a.numbers <= b.numbers && !(a == b);
}

}  // namespace

double plan_sizes::entries(axes a) const {
  double n = 1;
  const auto times = [&](axes one, double length) { n *= a.contains(one) ? length : 1; };
  times(head, heads);
  times(chan, channels);
  times(state, states);
  times(rank, ranks);
  times(tap, taps);
  times(part, 2);
  return n;
}

operator_cost cost_of(const term_view& P, axes in, const plan_sizes& sizes) {
  counter c(P, sizes);
  c.operation(P.root, in);
  return c.total();
}

planned_operator planned(const large_expr& P, axes in, const plan_sizes& sizes) {
  planned_operator plan;
  workspace g;
  node_index at = g.take(P.g, P.root);
  plan.before = plan.after = cost_of(term_view(g, at), in, sizes);
  for (bool improved = true; improved;) {
    improved = false;
    for (const node_index i : parts_of(term_view(g, at))) {
      for (std::size_t k = rule_index.begin[g[i].term]; k < rule_index.begin[g[i].term + 1u] && !improved; ++k) {
        const rule& u = rules[rule_index.rule[k]];
        if (u.is != rule_class::planning) continue;
        const node_index made = applied_again(u, g, i);
        if (made == absent) continue;
        memo seen;
        const node_index other = exhaust(g, replaced(g, at, i, made, seen), everywhere);
        const operator_cost cost = cost_of(term_view(g, other), in, sizes);
        if (!cheaper(cost, plan.after)) continue;
        plan.after = cost;
        plan.rules.push_back(u.name);
        at = other;
        improved = true;
      }
      if (improved) break;
    }
  }
  plan.P.root = plan.P.g.take(g, at);
  return plan;
}

}  // namespace alphaform
