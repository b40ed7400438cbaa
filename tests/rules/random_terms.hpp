// Random well-typed terms to try rules on: streams with given axes, with or without a given stream v in them, and
// operators from given axes to given axes, of every kind that the language has.
#pragma once
#include <alphaform/algebra/language.hpp>
#include <alphaform/algebra/normal.hpp>
#include <optional>
#include <random>
#include <vector>

namespace alphaform {

/// What is asked of a random term.
struct taste final {
  int depth = 2;
  bool with_v = false;         ///< v may occur
  bool constant = false;       ///< the same for every token
  bool within_tokens = false;  ///< works within a token
  bool positive = false;       ///< entries and row sums are larger than 0

  taste shallower() const {
    taste t = *this;
    t.depth = std::max(0, depth - 1);
    return t;
  }
};

class random_terms final {
 public:
  workspace& g;
  node_index v = absent;  ///< the stream with respect to which markers are meant

  random_terms(workspace& where, unsigned seed) : g(where), draw_(seed) {}

  int below(int n) { return std::uniform_int_distribution<int>(0, n - 1)(draw_); }
  bool chance(int of) { return below(of) == 0; }
  template <class List>
  auto one_out_of(const List& list) {
    return list[static_cast<std::size_t>(below(static_cast<int>(std::size(list))))];
  }

  // ---- axes, few enough that a token has at most a dozen entries
  axes some_axes() {
    constexpr axes all[] = {no_axes,     chan,         state,        rank,         chan | state,
                            head | chan, head | state, chan | part,  state | part, chan,
                            rank | part, state | rank, chan | state, chan | tap,   part};
    return one_out_of(all);
  }
  axes subset(axes of) {
    axes some = no_axes;
    for (const axis_letter& l : axis_letters)
      if (of.contains(l.axis) && !chance(3)) some = some | l.axis;
    return some;
  }
  axes one_axis(axes of) {
    std::vector<axes> list;
    for (const axis_letter& l : axis_letters)
      if (of.contains(l.axis)) list.push_back(l.axis);
    return list.empty() ? no_axes : one_out_of(list);
  }
  axes lacking(axes has) {  // an axis that can be added
    const axes free = (has.contains(chan) ? state | rank | head : chan | state | rank | head) - has;
    return one_axis(free);
  }
  static bool small(axes a) {
    int axes_in = 0;
    for (const axis_letter& l : axis_letters) axes_in += a.contains(l.axis) ? 1 : 0;
    return axes_in <= 3;
  }

  // ---- nodes
  node_index put(node n) { return g.put(inferred(g, n)); }
  template <class Term>
  node_index leaf(std::string_view id = {}, axes to = {}, axes from = {}) {
    return g.put({.term = term_code<Term>, .to = to, .from = from, .id = id});
  }
  template <class Term>
  node_index with(node_index a, node_index b = absent) {
    return put({.term = term_code<Term>, .a = a, .b = b});
  }
  template <class Function>
  node_index call(node_index a) {
    return put({.term = term_code<terms::function>, .function = function_code<Function>, .a = a});
  }
  node_index expanded(node_index s, axes to) {
    const axes missing = to - g[s].to;
    return missing == no_axes ? s : with<terms::applied>(leaf<terms::expand>({}, missing), s);
  }

  // ---- streams
  /// v, summed and repeated until it has the axes `a`.
  node_index v_along(axes a) {
    const axes extra = g[v].to - a;
    const node_index s = extra == no_axes ? v : with<terms::applied>(leaf<terms::contract>({}, {}, extra), v);
    return expanded(s, a);
  }
  node_index leaf_stream(axes a, const taste& t) {
    constexpr std::string_view inputs[] = {"a", "b", "c"}, parameters[] = {"u", "w", "bias"};
    if (t.with_v && v != absent && (!t.constant || g[v].is<terms::parameter>()) && chance(2)) return v_along(a);
    if (chance(8)) return leaf<terms::number>(one_out_of(std::array<std::string_view, 3>{"0.5", "-1.25", "2"}));
    if (t.constant || chance(3)) return leaf<terms::parameter>(one_out_of(parameters), a);
    return leaf<terms::input>(one_out_of(inputs), a);
  }
  /// A stream with the axes `a`.
  node_index stream(axes a, const taste& t) {
    const node_index s = t.positive ? positive_stream(a, t) : any_stream(a, t);
    return expanded(s, a);  // a bare number has no axes
  }
  node_index positive_stream(axes a, taste t) {
    t.positive = false;
    const node_index inner = stream(a, t.shallower());
    return chance(2) ? call<functions::exp>(call<functions::tanh>(inner)) : call<functions::softplus>(inner);
  }
  node_index any_stream(axes a, const taste& t) {
    if (t.depth == 0) return leaf_stream(a, t);
    const auto inner = [&] { return stream(a, t.shallower()); };
    switch (below(12)) {
      case 0:
        return call<functions::sigmoid>(inner());
      case 1:
        return call<functions::silu>(inner());
      case 2:
        return call<functions::tanh>(inner());
      case 3:
        return chance(2) ? call<functions::cos>(inner()) : call<functions::sin>(inner());
      case 4:
        return chance(2) ? call<functions::neg>(inner()) : call<functions::complement>(inner());
      case 5:
        return chance(2) ? call<functions::relu>(inner()) : call<functions::abs>(inner());
      case 6:
      case 7:
        return with<terms::times>(inner(), inner());
      case 8:
        return with<terms::plus>(inner(), inner());
      case 9:
        return chance(2) ? with<terms::larger>(inner(), inner()) : with<terms::held>(inner());
      case 10:
        return leaf_stream(a, t);
      default:
        return with<terms::applied>(operation(a, a, t.shallower()), inner());
    }
  }
  /// A stream through which the value path goes from v.
  node_index on_value_path(axes a, const taste& t) {
    if (t.depth == 0) return v_along(a);
    const auto inner = [&] { return on_value_path(a, t.shallower()); };
    taste free = t.shallower();
    free.with_v = false;
    switch (below(8)) {
      case 0:
        return v_along(a);
      case 1:
      case 2:
        return with<terms::applied>(operation(a, a, t.shallower()), inner());
      case 3:
        return call<functions::silu>(inner());
      case 4:
        return chance(2) ? call<functions::relu>(inner()) : call<functions::square>(call<functions::relu>(inner()));
      case 5:
        return call<functions::neg>(inner());
      case 6:
        return with<terms::plus>(inner(), stream(a, free));
      default:
        return with<terms::plus>(inner(), inner());
    }
  }
  /// The weight of a Mix or a Conv, with the axes `a`: a pointwise expression of parameters.
  node_index weight(axes a, axes from, const taste& t) {
    const auto parameter = [&] {
      if (t.with_v && v != absent && g[v].is<terms::parameter>() && g[v].to == a && g[v].from == from && chance(2))
        return v;
      return leaf<terms::parameter>(one_out_of(std::array<std::string_view, 2>{"W", "V"}), a, from);
    };
    if (t.positive) return call<functions::exp>(parameter());
    if (t.depth == 0 || from == a || chance(2)) return parameter();
    return chance(2) ? call<functions::tanh>(parameter()) : with<terms::times>(parameter(), parameter());
  }

  // ---- operators
  node_index diag(axes in, const taste& t) { return with<terms::diag>(stream(subset(in), t)); }
  node_index conv(axes in, const taste& t) {
    axes a = (subset(in) - part) | tap;
    if (t.with_v && v != absent && g[v].is<terms::parameter>() && g[v].to.contains(tap) && in.contains(g[v].to - tap))
      a = g[v].to;
    return with<terms::conv>(weight(a, no_axes, t));
  }
  node_index mix(axes from, axes to, const taste& t) {
    return g.put({.term = term_code<terms::mix>, .to = to, .from = from, .a = weight(from | to, from, t)});
  }
  node_index attend(axes in, const taste& t) {
    const axes kept = in & (head | rank);
    taste u = t.shallower();
    u.positive = u.constant = false;
    return with<terms::attend>(stream(kept | state, u), stream(subset(kept) | state, u));
  }
  /// An operator that works within a token from `a` to `a`, for recurrences.
  node_index transition(axes a, taste t) {
    t.within_tokens = true;
    t.depth = std::min(t.depth, 1);
    return chance(2) ? diag(a, t) : operation(a, a, t);
  }
  node_index square(axes a, const taste& t) {
    const taste less = t.shallower();
    const auto inner = [&] { return operation(a, a, less); };
    for (;;) switch (below(t.depth == 0 ? 9 : 18)) {
        case 0:
        case 1:
          return diag(a, less);
        case 2:
          if (t.within_tokens || a.touches(tap)) break;
          return conv(a, less);
        case 3:
          if (t.within_tokens || t.positive) break;
          return leaf<terms::delay>();
        case 4:
          if (t.within_tokens) break;
          return with<terms::scan>(transition(a, less));
        case 5:
          if (!a.touches(part) || t.positive) break;
          return leaf<terms::turn>({}, part, part);
        case 6: {
          const axes over = one_axis(a - part - tap);
          if (over == no_axes) break;
          return mix(over, over, less);
        }
        case 7:
          if (t.within_tokens) break;
          return chance(2) ? leaf<terms::reverse>() : with<terms::permute>(leaf<terms::parameter>("order", no_axes));
        case 8:
          if (t.within_tokens || !chance(3)) break;
          return attend(a, t);
        case 9:
        case 10:
          return with<terms::product>(inner(), inner());
        case 11:
          return with<terms::sum>(inner(), inner());
        case 12: {  // out and back
          const axes via = one_axis(a) != no_axes && chance(2) ? a - one_axis(a) : a | lacking(a);
          if (!small(via)) break;
          return with<terms::product>(operation(via, a, less), operation(a, via, less));
        }
        case 13:
          return with<terms::adjoint>(t.positive ? with<terms::sum>(leaf<terms::identity>(), diag(a, less)) : inner());
        case 14: {
          if (t.within_tokens) break;
          taste p = less;
          p.positive = true;
          return with<terms::rownorm>(operation(a, a, p));
        }
        case 15:
          if (t.within_tokens || t.positive) break;
          return with<terms::bounded_rownorm>(inner());
        case 16:
          if (t.within_tokens || t.positive) break;
          return chance(2) ? leaf<terms::every_token>() : leaf<terms::over_tokens>();
        default:
          return t.positive ? leaf<terms::identity>() : with<terms::sum>(leaf<terms::identity>(), inner());
      }
  }
  /// One step from `in` towards `out`.
  node_index step(axes in, axes out, const taste& t) {
    const axes extra = in - out, missing = out - in;
    const axes mixed_from = one_axis(extra - tap - part), mixed_to = one_axis(missing - tap - part);
    if (mixed_from != no_axes && mixed_to != no_axes && !chance(3)) return mix(mixed_from, mixed_to, t);
    if (extra != no_axes) {
      const axes over = chance(2) ? extra : one_axis(extra);
      if (over == part && !t.positive && !chance(4)) return leaf<terms::real>({}, no_axes, part);
      return leaf<terms::contract>({}, no_axes, over);
    }
    const axes made = chance(2) ? missing : one_axis(missing);
    if (made == part && !t.positive && !chance(4)) return leaf<terms::embed>({}, part);
    if (made == tap && !t.within_tokens && !t.positive) return with<terms::lags>(weight(subset(in) | tap, no_axes, t));
    return leaf<terms::expand>({}, made);
  }
  /// An operator from streams with the axes `in` to streams with the axes `out`.
  node_index operation(axes in, axes out, const taste& t) {
    if (in == out) return square(in, t);
    const node_index first = step(in, out, t);
    const axes via = after(effect_of(g, first), in);
    if (via == out && (t.depth == 0 || chance(2))) return first;
    const node_index rest = operation(via, out, t.shallower());
    return with<terms::product>(rest, first);
  }

 private:
  std::mt19937 draw_;
};

}  // namespace alphaform
