#include <alphaform/algebra/replay.hpp>

namespace alphaform {
namespace {

/// exhaust of normal.hpp, counting.
class counter final {
 public:
  counter(workspace& g, rule_counts& counts) : g_(g), counts_(counts) {}

  node_index exhaust(node_index i, const scheme& s) {
    memo seen;
    return exhaust(i, s, seen);
  }
  node_index exhaust(node_index i, const scheme& s, memo& seen) {
    if (seen[i] != absent) return seen[i];
    const node_index start = i;
    for (bool changed = true; changed;) {
      i = rebuilt(g_, i, s.inside_controls, [&](node_index k) { return exhaust(k, s, seen); });
      changed = fires(i, s);
    }
    seen.set(start, i);
    seen.set(i, i);
    return i;
  }
  /// Every place of one rule, outermost first.
  node_index pass(const rule& u, node_index i, int& times) {
    memo seen;
    return alphaform::pass(u, g_, i, seen, times);
  }
  void add(std::size_t rule, long times) { counts_[rule] += times; }

 private:
  bool fires(node_index& i, const scheme& s) {
    const code top = g_[i].term;
    for (std::size_t k = rule_index.begin[top]; k < rule_index.begin[top + 1u]; ++k) {
      const std::size_t u = rule_index.rule[k];
      if (!s.has(rules[u].is)) continue;
      const node_index j = fire(rules[u], g_, i);
      if (j == absent || j == i) continue;
      i = j;
      ++counts_[u];
      return true;
    }
    return false;
  }

  workspace& g_;
  rule_counts& counts_;
};

bool is_visible(const rule& u) { return u.is == rule_class::frozen || u.is == rule_class::mathematical; }

/// One rule at the first place where it applies, outermost first.
struct single final {
  workspace& g;
  const rule& u;
  node_index place = absent;  ///< where it applied

  node_index operator()(node_index i) {
    if (place != absent) return i;
    const node_index j = fire(u, g, i);
    if (j != absent && j != i) {
      place = i;
      return j;
    }
    return rebuilt(g, i, false, [this](node_index k) { return (*this)(k); });
  }
  /// What the symbols of the condition stand for there.
  std::vector<std::pair<std::string_view, node_index>> where() const {
    binding bound;
    if (!match(u.pattern.g, u.pattern.root, g, place, bound)) return {};
    std::vector<std::pair<std::string_view, node_index>> all;
    for (std::size_t k = 0; k < u.when.symbols.size(); ++k) {
      const std::string_view symbol = u.when.symbols.substr(k, 1);
      all.emplace_back(symbol, bound[symbol]);
    }
    return all;
  }
};

/// Consecutive steps by one rule as one.
void join(std::vector<visible_step>& steps) {
  std::vector<visible_step> joined;
  for (visible_step& s : steps) {
    if (joined.empty() || joined.back().rule != s.rule) {
      joined.push_back(std::move(s));
    } else {
      joined.back().after = s.after;
      joined.back().times += s.times;
    }
  }
  steps = std::move(joined);
}

}  // namespace

visible_derivation visible_steps(const expr& y, std::string_view value) {
  visible_derivation d;
  workspace& g = d.g;
  const node_index out = g.take(y.g, y.root), v = variable(g, out, value);
  node_index at = exhaust(g, marked<terms::frozen>(g, out, v), bookkeeping);
  for (bool again = true; again;) {
    again = false;
    for (std::size_t u = 0; u < rules.size(); ++u) {
      if (!is_visible(rules[u])) continue;
      for (;;) {
        single once{g, rules[u]};
        const node_index before = at, after = once(at);
        if (once.place == absent) break;
        at = exhaust(g, after, bookkeeping);
        d.steps.push_back({static_cast<node_index>(u), 1, before, at, once.where()});
        again = true;
      }
    }
  }
  if (d.steps.size() > most_visible_steps) join(d.steps);
  return d;
}

void count_rules(rule_counts& counts, const expr& y, const std::vector<std::string_view>& inputs) {
  workspace g;
  counter c(g, counts);
  const node_index out = g.take(y.g, y.root), value = variable(g, out, value_input);
  node_index at = c.exhaust(marked<terms::frozen>(g, out, value), bookkeeping);
  for (bool again = true; again;) {
    again = false;
    for (std::size_t u = 0; u < rules.size(); ++u) {
      if (!is_visible(rules[u])) continue;
      for (int fired = -1; fired != 0;) {
        fired = 0;
        at = c.pass(rules[u], at, fired);
        if (fired == 0) break;
        c.add(u, fired);
        at = c.exhaust(at, bookkeeping);
        again = true;
      }
    }
  }
  node_index rest = marked<terms::remainder>(g, out, value);
  for (node_index last = absent; last != rest;) {
    last = rest;
    rest = c.exhaust(c.exhaust(rest, only(rule_class::remainder)), bookkeeping);
  }
  for (const std::string_view name : inputs) {
    const node_index v = variable(g, out, name);
    memo seen;
    c.exhaust(marked<terms::derivative>(g, out, v), differentiating, seen);
    const node_index controls = c.exhaust(marked<terms::controls>(g, out, v),
                                          only(rule_class::canonical, rule_class::controls, rule_class::splitting));
    c.exhaust(controls, differentiating, seen);
  }
}

}  // namespace alphaform
