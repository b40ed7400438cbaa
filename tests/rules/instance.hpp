// A rule's pattern with random operands in place of its symbols, well typed: axes are drawn for the operator or stream
// as a whole and handed down the pattern, and an instance whose parts do not fit is given up.
#pragma once
#include "random_terms.hpp"

namespace alphaform {

struct instance final {
  workspace g{};
  node_index root = absent;
  axes in{};  ///< of the streams that the root acts on
};

inline bool mentions(const side& e, auto... term) {
  return any_of(e.g, e.root, [&](const node& n) { return ((n.term == term_code<decltype(term)>) || ...); });
}
inline bool has_marker(const side& e) {
  return any_of(e.g, e.root, [](const node& n) { return is_marker(n); });
}

class instantiation final {
 public:
  struct misfit final {};

  /// `typed` is false for what no declaration can say: operators on streams that lack their axes.
  instantiation(const rule& u, instance& to, unsigned seed, bool typed = true)
      : u_(u), p_(u.pattern.g), g_(to.g), typed_(typed), draw_(to.g, seed) {
    g_ = workspace();
    const node& top = u.pattern.top();
    if (has_marker(u.pattern)) {
      draw_.v = variable();
      bound_["v"] = draw_.v;
    }
    if (is_marker(top)) {
      to.in = g_[draw_.v].to;
      to.root = draw_.put({.term = top.term,
                           .function = top.function,
                           .a = stream(top.a, draw_.some_axes(), {.marked = true}),
                           .b = draw_.v});
    } else if (top.is_stream()) {
      to.root = stream(u.pattern.root, draw_.some_axes(), {});
    } else {
      to.in = draw_.some_axes() - (typed ? made_inside() : no_axes);
      to.root = operation(u.pattern.root, to.in, {}, {});
    }
  }

 private:
  using wanted = std::optional<axes>;
  struct context final {
    bool within_tokens = false, positive = false;
    bool marked = false;  ///< right under a marker
    bool positive_stream = false;
  };

  const rule& u_;
  const decltype(side::g)& p_;
  workspace& g_;
  bool typed_;
  random_terms draw_;
  binding bound_{};

  void want(bool right) const {
    if (typed_ && !right) throw misfit{};
  }
  void fits(axes is, const wanted& a) const { want(!a || is == *a); }

  /// The stream v: an input, for true derivatives a parameter, or any other stream.
  node_index variable() {
    const bool parameters = mentions(u_.pattern, terms::derivative{}) || u_.when.text == "v is a parameter";
    constexpr axes inputs[] = {chan, chan, chan | state, state, head | state, no_axes};
    struct matrix final {
      axes to, from;
    };
    constexpr matrix weights[] = {
        {chan, {}},   {chan | tap, {}}, {chan | state, chan}, {chan | state, state}, {state | rank, state},
        {no_axes, {}}};
    if (parameters && draw_.chance(2)) {
      const matrix w = draw_.one_out_of(weights);
      return draw_.leaf<terms::parameter>("theta", w.to, w.from);
    }
    const node_index x = draw_.leaf<terms::input>("x", draw_.one_out_of(inputs));
    if (draw_.chance(3)) return draw_.with<terms::applied>(draw_.operation(g_[x].to, g_[x].to, {.depth = 1}), x);
    return x;
  }

  taste flavour(const context& c) {
    return {.depth = draw_.below(3),
            .with_v = draw_.v != absent && draw_.chance(2),
            .constant = draw_.chance(3),
            .within_tokens = c.within_tokens,
            .positive = c.positive};
  }

  /// The axes of the streams that are bound already among those which a pointwise pattern is made of.
  wanted known(node_index i) const {
    const node& n = p_[i];
    if (is_wildcard(n)) return bound_[n.id] == absent ? wanted{} : g_[bound_[n.id]].to;
    if (n.is<terms::applied>()) {
      const wanted inner = known(n.b);
      if (!inner || p_[n.a].is<terms::diag>()) return inner;
      return p_[n.a].is<terms::contract>() && p_[n.a].id.empty() ? *inner - p_[n.a].from : wanted{};
    }
    if (!one_of<terms::function, terms::times, terms::plus, terms::larger, terms::held>(n.term)) return {};
    const wanted a = known(n.a);
    return a || n.b == absent ? a : known(n.b);
  }

  /// Axes that the result uses between its factors, which the stream must not have.
  axes made_inside() const {
    axes inside = no_axes;
    if (mentions(u_.result, terms::embed{}) && !mentions(u_.pattern, terms::embed{}, terms::real{})) inside = part;
    if (mentions(u_.result, terms::lags{})) inside = inside | tap;
    return inside;
  }

  node_index stream(node_index i, axes a, context c) {
    const node& n = p_[i];
    if (n.is<terms::any_stream>()) {
      node_index& at = bound_[n.id];
      if (at == absent) at = operand(a, c);
      fits(g_[at].to, a);
      return at;
    }
    const bool marked = c.marked;
    c.marked = false;
    if (n.is<terms::number>()) return g_.put(n);
    if (n.is<terms::one>() || n.is<terms::nothing>()) return g_.put({.term = n.term, .to = a});
    if (n.is<terms::function>()) {
      constexpr code signed_roots[] = {function_code<functions::rsqrt>, function_code<functions::log>,
                                       function_code<functions::reciprocal>};
      for (const code f : signed_roots) c.positive_stream = c.positive_stream || n.function == f;
      c.marked = marked;
      return draw_.put({.term = n.term, .function = n.function, .a = stream(n.a, a, c)});
    }
    if (one_of<terms::times, terms::plus, terms::larger, terms::peak, terms::prior_peak>(n.term)) {
      c.marked = marked;
      // the product rule holds for factors with other axes as well
      const bool narrow = n.is<terms::times>() && marked && draw_.chance(3);
      const node_index first = stream(n.a, a, c);
      const node_index second = stream(n.b, narrow ? known(n.b).value_or(draw_.subset(a)) : a, c);
      return draw_.put({.term = n.term, .a = first, .b = second});
    }
    if (n.is<terms::held>()) return draw_.with<terms::held>(stream(n.a, a, {}));
    if (n.is<terms::remainder>()) return draw_.with<terms::remainder>(stream(n.a, a, {.marked = true}), draw_.v);
    if (n.is<terms::inverse_size>()) {
      const axes of = known(n.a).value_or(a | n.from);
      want(of.contains(n.from));
      return g_.put({.term = n.term, .from = n.from, .a = stream(n.a, of, c)});
    }
    want(n.is<terms::applied>());
    c.marked = marked;
    const axes of = known(n.b).value_or(draw_.chance(2) ? a : axes_before(n.a, a));
    const node_index s = stream(n.b, of, c);
    return draw_.with<terms::applied>(operation(n.a, of, a, {}), s);
  }
  /// Axes that the operator of the pattern may make `a` of.
  axes axes_before(node_index i, axes a) {
    const node& n = p_[i];
    if (n.is<terms::contract>() && n.id.empty()) return a | n.from;
    if (n.is<terms::contract>()) return a | draw_.lacking(a);
    if (n.is<terms::expand>()) return a - draw_.one_axis(a);
    if (n.is<terms::mix>()) return (a - draw_.one_axis(a)) | draw_.lacking(a);
    if (n.is<terms::adjoint>()) return axes_before(n.a, a);
    return draw_.some_axes();
  }
  node_index operand(axes a, const context& c) {
    taste t = flavour({});
    t.positive = c.positive_stream || draw_.chance(4);
    // Right under F, G and R is the value path, or what does not depend on v.
    const bool path = c.marked && !mentions(u_.pattern, terms::derivative{});
    if (path && draw_.v != absent) {
      if (!draw_.chance(4)) return draw_.on_value_path(a, {.depth = t.depth, .with_v = true});
      t.with_v = draw_.chance(8);
      if (t.with_v) return draw_.on_value_path(a, t);
    }
    return draw_.stream(a, t);
  }

  node_index operation(node_index i, axes in, const wanted& out, const context& c) {
    const node_index made = pattern_operation(i, in, out, c);
    const axes to = after(effect_of(g_, made), in);
    fits(to, out);
    want(random_terms::small(to) && in.contains(g_[made].from) && !(g_[made].to - g_[made].from).touches(in));
    return made;
  }
  node_index weight(node_index i, axes a, axes from) {
    const node& n = p_[i];
    if (!n.is<terms::any_stream>()) return stream(i, a, {});
    node_index& at = bound_[n.id];
    if (at == absent) {
      at = draw_.weight(a, from, flavour({}));
      if (from == no_axes && draw_.chance(6))  // taps that differ from token to token
        at = draw_.with<terms::times>(at, draw_.leaf<terms::input>("a", a));
    }
    want(g_[at].to == a && (!g_[at].is<terms::parameter>() || g_[at].from == from || from == no_axes));
    return at;
  }
  node_index pattern_operation(node_index i, axes in, const wanted& out, const context& c) {
    const node& n = p_[i];
    const auto with = [&](node_index a, node_index b = absent) { return draw_.put({.term = n.term, .a = a, .b = b}); };
    if (n.is<terms::any_operator>()) {
      node_index& at = bound_[n.id];
      if (at == absent) at = draw_.operation(in, out.value_or(some_out(in)), flavour(c));
      return at;
    }
    if (n.is<terms::zero>()) return g_.put({.term = n.term, .to = out.value_or(some_out(in)), .from = in});
    if (n.is<terms::diag>()) {
      const axes a = known(n.a).value_or(draw_.subset(typed_ ? in : draw_.some_axes()));
      want(in.contains(a));
      return with(stream(n.a, a, {}));
    }
    if (n.is<terms::conv>() || n.is<terms::lags>()) {
      want(!in.touches(tap));
      axes a = known(n.a).value_or((draw_.subset(in) - part) | tap);
      if (const node_index v = draw_.v; v != absent && g_[v].to.contains(tap) && in.contains(g_[v].to - tap))
        a = g_[v].to;
      want(in.contains(a - tap) && a.contains(tap));
      return with(weight(n.a, a, no_axes));
    }
    if (n.is<terms::permute>()) return with(draw_.leaf<terms::parameter>("order", no_axes));
    if (n.is<terms::mix>()) return mix(n, in, out);
    if (n.is<terms::expand>()) {
      if (n.id.empty()) return g_.put(plain(n));
      const axes a = out ? *out - in : draw_.lacking(typed_ ? in : no_axes);
      want(a != no_axes);
      return draw_.leaf<terms::expand>({}, a);
    }
    if (n.is<terms::contract>()) {
      if (n.id.empty()) return g_.put(plain(n));
      const axes a = out ? in - *out : draw_.one_axis(in);
      want(a != no_axes);
      return draw_.leaf<terms::contract>({}, no_axes, a);
    }
    if (n.is<terms::turn>() && !n.id.empty()) {
      const axes a = draw_.one_axis(in & (part | state | rank));  // those with an even number of entries
      want(a != no_axes);
      return draw_.leaf<terms::turn>({}, a, a);
    }
    if (n.is<terms::embed>()) want(!in.touches(part));
    if (n.is<terms::attend>()) {
      const axes kept = in & (head | rank | chan);
      const axes q = known(n.a).value_or(kept | state), k = known(n.b).value_or(draw_.subset(kept) | state);
      want(in.contains((q | k) - state));
      const node_index query = stream(n.a, q, {});
      return with(query, stream(n.b, k, {}));
    }
    if (n.is<terms::scan>()) return with(operation(n.a, in, in, {.within_tokens = true}));
    if (n.is<terms::retimed>()) return with(operation(n.a, in, out, {.within_tokens = true}));
    if (n.is<terms::rownorm>()) return with(operation(n.a, in, out.value_or(in), {.positive = true}));
    if (n.is<terms::bounded_rownorm>()) return with(operation(n.a, in, out, c));
    if (n.is<terms::adjoint>()) return with(operation(n.a, out.value_or(some_out(in)), in, c));
    if (n.is<terms::sum>() || n.is<terms::paths>()) {
      const node_index first = operation(n.a, in, out, c);
      return with(first, operation(n.b, in, after(effect_of(g_, first), in), c));
    }
    if (n.is<terms::product>()) {
      const node_index q = operation(n.b, in, draw_.chance(2) ? wanted{} : out, c);
      return with(operation(n.a, after(effect_of(g_, q), in), out, c), q);
    }
    if (is_marker(n)) {
      want(in == g_[draw_.v].to);
      return with(stream(n.a, out.value_or(draw_.some_axes()), {.marked = true}), draw_.v);
    }
    return g_.put(plain(n));  // I, Delay, Reverse ...
  }
  axes some_out(axes in) { return draw_.chance(3) ? draw_.some_axes() : in; }
  static node plain(node n) {
    n.id = {};
    return n;
  }
  node_index mix(const node& n, axes in, const wanted& out) {
    const node_index v = draw_.v;
    axes from = out && *out != in ? draw_.one_axis(in - *out) : draw_.one_axis(in - part - tap);
    axes to = out && *out != in ? draw_.one_axis(*out - in) : draw_.chance(2) ? from : draw_.lacking(in);
    if (v != absent && g_[v].is<terms::parameter>() && g_[v].from != no_axes && in.contains(g_[v].from) &&
        !(in - g_[v].from).touches(g_[v].to))
      from = g_[v].from, to = g_[v].to - from;
    want(from != no_axes && to != no_axes);
    return g_.put({.term = n.term, .to = to, .from = from, .a = weight(n.a, from | to, from)});
  }
};

}  // namespace alphaform
