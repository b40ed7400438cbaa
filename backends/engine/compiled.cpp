#include <alphaform/backends/engine/assembler.hpp>
#include <alphaform/backends/engine/compiled.hpp>
#include <alphaform/backends/engine/forms.hpp>
#include <cstdlib>
#include <set>
#include <string>

namespace alphaform {

bool is_pointwise(const workspace& g, node_index i) {
  const node& n = g[i];
  if (n.is<terms::peak>() || n.is<terms::prior_peak>()) return false;
  if (!n.is<terms::applied>()) return true;
  return g[n.a].is<terms::diag>() || g[n.a].is<terms::expand>();
}

namespace {

using operation = pointwise::operation;

constexpr bool is_cheap(const node& n) {
  if (!n.is<terms::function>()) return true;
  return n.function == function_code<functions::neg> || n.function == function_code<functions::complement> ||
         n.function == function_code<functions::square> || n.function == function_code<functions::relu> ||
         n.function == function_code<functions::abs>;
}

/// The streams that a pointwise term reads entry by entry.
std::vector<node_index> arguments(const workspace& g, node_index i) {
  const node& n = g[i];
  if (n.is<terms::applied>()) return g[n.a].is<terms::diag>() ? std::vector{g[n.a].a, n.b} : std::vector{n.b};
  if (n.is<terms::function>() || n.is<terms::held>()) return {n.a};
  if (one_of<terms::times, terms::plus, terms::larger>(n.term)) return {n.a, n.b};
  return {};
}

bool is_function(const workspace& g, node_index i, code f) { return g[i].is<terms::function>() && g[i].function == f; }

/// sigma(-s) for sigma(s), if the graph has it: their sum is 1, so that it makes the change of a decay sigma(s).
node_index mirrored(const workspace& g, node_index i) {
  if (!is_function(g, i, function_code<functions::sigmoid>)) return absent;
  for (node_index k = 0; k < g.size; ++k)
    if (is_function(g, k, function_code<functions::sigmoid>) && is_function(g, g[k].a, function_code<functions::neg>) &&
        g[g[k].a].a == g[i].a)
      return k;
  return absent;
}

/// A program holds at most so many terms of the graph; what is below them is evaluated before.
constexpr std::size_t most_terms = 64;

/// One program in the making.
template <class T>
class compilation final {
 public:
  compilation(const workspace& g, shapes<T>& sizes, const std::vector<std::vector<node_index>>& parents)
      : g_(g), sizes_(sizes), parents_(parents) {}

  compiled_stream made(made_of what, const streams& list) {
    take({&list});
    if (list.size() == 1) what == made_of::change_of_decay ? force_change(list.front()) : force(list.front());
    choose_inlined(list);
    if (what == made_of::change_of_decay) return finished(change(list));
    const assembler::value result = product(list);
    return what == made_of::product ? finished(result) : finished_with(code_.times(result, one_more()));
  }

  compiled_stream scan(bool back, const streams& first, const streams& decay, const streams& last) {
    take({&first, &decay, &last});
    if (decay.size() == 1) force_change(decay.front());
    streams all = first;
    for (const streams* s : {&decay, &last}) all.insert(all.end(), s->begin(), s->end());
    choose_inlined(all);
    const assembler::value x = one_more();
    return finished_with(times(last, code_.scan(back, change(decay), times(first, x))));
  }

  /// last (after states(decay, before x) + inner x) for x = first times one more operand; no sum if there is no inner.
  compiled_stream states(bool back, const streams& first, const streams& before, const streams& decay,
                         const streams& after, const streams* inner, const streams& last) {
    streams all;
    for (const streams* list : {&first, &before, &decay, &after, &last, inner})
      if (list != nullptr) {
        take({list});
        all.insert(all.end(), list->begin(), list->end());
      }
    for (const node_index i : all) force_repeated(i);
    choose_inlined(all);
    const assembler::value brought = one_more(), x = times(first, brought),
                           y = times(after, code_.states(back, product(decay), times(before, x)));
    return finished_with(times(last, inner == nullptr ? y : code_.plus(times(*inner, x), y)));
  }

  compiled_stream gated_sum(const streams& outer, const streams& inner) {
    take({&outer, &inner});
    streams all = outer;
    all.insert(all.end(), inner.begin(), inner.end());
    choose_inlined(all);
    const assembler::value x = one_more(), other = one_more(),
                           sum = code_.plus(inner.empty() ? x : code_.times(product(inner), x), other);
    return finished_with(outer.empty() ? sum : code_.times(product(outer), sum));
  }

 private:
  void take(std::initializer_list<const streams*> lists) {
    for (const streams* list : lists)
      for (const node_index i : *list) size_ = together(size_, sizes_.of(i));
  }
  assembler::value times(const streams& list, assembler::value x) {
    return list.empty() ? x : code_.times(product(list), x);
  }
  compiled_stream finished(assembler::value result) {
    compiled_stream c;
    c.size = size_;
    c.program = code_.finished(result, reads_.size());
    c.reads = reads_;
    return c;
  }
  /// An operand that the caller brings.
  assembler::value one_more() {
    brought_.push_back(code_.put({.is = operation::load}));
    return brought_.back();
  }
  /// They are the last ones.
  compiled_stream finished_with(assembler::value result) {
    for (std::size_t k = 0; k < brought_.size(); ++k) code_.load(brought_[k], reads_.size() + k);
    reads_.resize(reads_.size() + brought_.size());
    compiled_stream c = finished(result);
    c.reads.resize(c.reads.size() - brought_.size());
    return c;
  }

  void force(node_index i) { forced_.insert(i); }
  /// A stream, and what it only repeats.
  void force_repeated(node_index i) {
    for (force(i); g_[i].is<terms::applied>() && g_[g_[i].a].is<terms::expand>(); force(i)) i = g_[i].b;
  }
  /// What the change of a decay is made from must be seen, not read.
  void force_change(node_index i) {
    force(i);
    if (is_function(g_, i, function_code<functions::exp>)) exponents_.insert(g_[i].a);
    if (const auto between = as_interpolation(i)) {
      force(between->product);
      force_change(between->end);
    }
  }

  /// Will another program need it too, itself or in a term that is part of both?
  bool needed_elsewhere(node_index i) const {
    const std::vector<node_index>& up = parents_[i];
    const auto is_here = [&](node_index parent) { return inlined_.contains(parent); };
    if (up.size() > 1 && !std::all_of(up.begin(), up.end(), is_here)) return true;
    return std::any_of(up.begin(), up.end(), [&](node_index parent) {
      return is_here(parent) && is_cheap(g_[parent]) && needed_elsewhere(parent);
    });
  }

  /// Terms from the streams downward are part of the program, unless another program will need them too, or they have
  /// fewer entries than the result.
  void choose_inlined(const std::vector<node_index>& streams) {
    std::set<node_index, std::greater<>> open(streams.begin(), streams.end());
    while (!open.empty() && inlined_.size() < most_terms) {
      const node_index i = *open.begin();
      open.erase(open.begin());
      if (!is_pointwise(g_, i) || g_[i].is<terms::input>() || g_[i].is<terms::parameter>()) continue;
      if (!is_cheap(g_[i]) && !forced_.contains(i)) {
        if (needed_elsewhere(i)) continue;
        if (volume(sizes_.of(i)) * 2 <= volume(size_)) continue;
      }
      inlined_.insert(i);
      for (const node_index a : arguments(g_, i)) open.insert(a);
    }
  }

  assembler::value operand(node_index i) {
    if (sizes_.is_absent(i)) return code_.number(absent_parameter<double>(g_[i]));
    const auto k = reads_.size();
    reads_.push_back(i);
    return code_.put({.is = operation::load, .a = static_cast<std::uint8_t>(k)});
  }

  assembler::value product(const std::vector<node_index>& streams) {
    if (streams.empty()) return code_.number(1);
    assembler::value y = stream(streams.front());
    for (std::size_t k = 1; k < streams.size(); ++k) y = code_.times(y, stream(streams[k]));
    return y;
  }

  assembler::value stream(node_index i) {
    if (const auto found = values_.find(i); found != values_.end()) return found->second;
    const assembler::value v = inlined_.contains(i) ? term(i) : operand(i);
    values_[i] = v;
    return v;
  }

  assembler::value change(const streams& decay) {
    return decay.size() == 1 ? change(decay.front()) : code_.plus(product(decay), code_.number(-1));
  }

  assembler::value term(node_index i) {
    const node& n = g_[i];
    if (n.is<terms::number>()) return code_.number(std::strtod(std::string(n.id).c_str(), nullptr));
    if (n.is<terms::one>()) return code_.number(1);
    if (n.is<terms::nothing>()) return code_.number(0);
    if (n.is<terms::inverse_size>()) return code_.number(1 / static_cast<double>(sizes_.entries(n.a, n.from)));
    if (n.is<terms::held>()) return stream(n.a);
    if (n.is<terms::function>()) {
      if (turns(n) && g_[n.a].is<terms::times>() && inlined_.contains(n.a)) return of_angle(n);
      if (const node_index half = half_of_exponent(i); half != absent) {
        const assembler::value e = expm1(half);
        return code_.times(e, code_.plus(e, code_.number(2)));
      }
      const assembler::value a = stream(n.a);
      return as_inverse_row_sum(g_, i) != absent ? code_.inverse(a) : code_.map(n.function, a);
    }
    if (n.is<terms::applied>())
      return g_[n.a].is<terms::expand>() ? stream(n.b) : code_.times(stream(g_[n.a].a), stream(n.b));
    const assembler::value a = stream(n.a), b = stream(n.b);
    if (n.is<terms::times>()) return code_.times(a, b);
    if (n.is<terms::plus>()) return code_.plus(a, b);
    if (n.is<terms::larger>()) return code_.larger(a, b);
    throw internal_error("a stream term that cannot be evaluated");
  }

  /// e^s - 1, once.
  assembler::value expm1(node_index s) {
    const auto [found, is_new] = expm1_.try_emplace(s, assembler::value{0});
    if (is_new) found->second = code_.map(function_code<functions::expm1>, stream(s));
    return found->second;
  }
  bool is_two(node_index i) const {
    while (g_[i].is<terms::applied>() && g_[g_[i].a].is<terms::expand>()) i = g_[i].b;
    return g_[i].is<terms::number>() && g_[i].id == "2";
  }
  /// s for e^(2 s) - 1 = (e^s - 1) (e^s - 1 + 2), where the program needs e^s - 1 anyway.
  node_index half_of_exponent(node_index i) const {
    if (!is_function(g_, i, function_code<functions::expm1>) || !inlined_.contains(g_[i].a)) return absent;
    const node& exponent = g_[g_[i].a];
    if (!exponent.is<terms::times>() || exponents_.empty()) return absent;
    for (const auto& [factor, rest] : {std::pair{exponent.a, exponent.b}, std::pair{exponent.b, exponent.a}})
      if (is_two(factor) && exponents_.contains(rest)) return rest;
    return absent;
  }

  static bool turns(const node& n) {
    return n.function == function_code<functions::cos> || n.function == function_code<functions::sin>;
  }
  /// cos or sin of an angle t f: after 65,536 tokens its rounding alone would be an error of 4e-3.
  assembler::value of_angle(const node& n) {
    const assembler::value t = stream(g_[n.a].a), f = stream(g_[n.a].b), angle = code_.times(t, f);
    const bool is_cos = n.function == function_code<functions::cos>;
    const assembler::value cosine = code_.map(function_code<functions::cos>, angle),
                           sine = code_.map(function_code<functions::sin>, angle), rest = code_.lost(t, f, angle);
    if (is_cos) return code_.plus(cosine, code_.times(code_.times(rest, code_.number(-1)), sine));
    return code_.plus(sine, code_.times(rest, cosine));
  }

  /// l + (1 - l) s, from l to 1: its change is (1 - l) (s - 1).
  struct interpolation final {
    node_index product, complement, end;
  };
  std::optional<interpolation> as_interpolation(node_index i) const {
    const node& n = g_[i];
    if (!n.is<terms::plus>()) return std::nullopt;
    for (const auto& [l, rest] : {std::pair{n.a, n.b}, std::pair{n.b, n.a}}) {
      const node& r = g_[rest];
      if (!r.is<terms::times>()) continue;
      for (const auto& [factor, end] : {std::pair{r.a, r.b}, std::pair{r.b, r.a}})
        if (is_function(g_, factor, function_code<functions::complement>) && g_[factor].a == l)
          return interpolation{rest, factor, end};
    }
    return std::nullopt;
  }

  /// s - 1. Where s is an exponential, a complement, a logistic function or between 1 and one of these, the difference
  /// is never formed.
  assembler::value change(node_index i) {
    const node& n = g_[i];
    if (inlined_.contains(i)) {
      if (n.is<terms::one>()) return code_.number(0);
      if (n.is<terms::number>()) return code_.number(std::strtod(std::string(n.id).c_str(), nullptr) - 1);
      if (n.is<terms::held>()) return change(n.a);
      if (is_function(g_, i, function_code<functions::exp>)) return expm1(n.a);
      if (is_function(g_, i, function_code<functions::complement>))
        return code_.map(function_code<functions::neg>, stream(n.a));
      if (is_function(g_, i, function_code<functions::sigmoid>)) {
        const node_index other = mirrored(g_, i);
        return code_.map(function_code<functions::neg>,
                         other != absent ? stream(other)
                                         : code_.map(function_code<functions::sigmoid>,
                                                     code_.map(function_code<functions::neg>, stream(n.a))));
      }
      if (const auto between = as_interpolation(i); between && inlined_.contains(between->product))
        return code_.times(stream(between->complement), change(between->end));
    }
    return code_.plus(stream(i), code_.number(-1));
  }

  const workspace& g_;
  shapes<T>& sizes_;
  const std::vector<std::vector<node_index>>& parents_;
  assembler code_;
  std::set<node_index> inlined_, forced_;
  std::map<node_index, assembler::value> values_, expm1_;
  std::set<node_index> exponents_;  // s of decays e^s, of which e^s - 1 is needed
  std::vector<node_index> reads_;
  std::vector<assembler::value> brought_;
  extents size_ = single;
};

}  // namespace

std::vector<bool> made_of_parameters(const workspace& g) {
  std::vector<bool> made(g.size);
  for (node_index i = 0; i < g.size; ++i) {
    made[i] = is_pointwise(g, i) && !g[i].is<terms::input>();
    for (const node_index a : {g[i].a, g[i].b}) made[i] = made[i] && (a == absent || made[a]);
  }
  return made;
}

std::vector<bool> needed_often(const workspace& g) {
  std::vector<bool> seen(g.size, false), often(g.size, false);
  for (node_index i = g.size; i-- > 0;) {  // arguments come before what they are arguments of
    for (const node_index a : {g[i].a, g[i].b, mirrored(g, i)}) {
      if (a == absent) continue;
      if (seen[a]) often[a] = true;
      seen[a] = true;
    }
    if (often[i] && is_pointwise(g, i) && is_cheap(g[i]))
      for (const node_index a : arguments(g, i)) often[a] = true;
  }
  return often;
}

std::vector<bool> repeated_within(const workspace& g, node_index p) {
  std::vector<bool> seen(p + std::size_t{1}, false), often(g.size, false);
  seen[p] = true;
  for (node_index i = p + 1u; i-- > 0;) {
    if (!seen[i]) continue;
    for (const node_index a : {g[i].a, g[i].b}) {
      if (a == absent || g[a].is_stream()) continue;
      if (seen[a]) often[a] = true;
      seen[a] = true;
    }
  }
  return often;
}

template <class T>
compiler<T>::compiler(const workspace& g, shapes<T>& sizes) : g_(g), sizes_(sizes), parents_(g.size) {
  for (node_index i = 0; i < g.size; ++i)
    for (const node_index a : {g[i].a, g[i].b, mirrored(g, i)})
      if (a != absent) parents_[a].push_back(i);
}

template <class T>
const compiled_stream& compiler<T>::known(const key& k) {
  const std::lock_guard lock(guard_);
  const auto found = known_.find(k);
  if (found != known_.end()) return found->second;
  compilation<T> made(g_, sizes_, parents_);
  const made_of what = k.first;
  const std::vector<streams>& lists = k.second;
  const auto compile = [&] {
    switch (what) {
      case made_of::scan:
      case made_of::scan_back:
        return made.scan(what == made_of::scan_back, lists[0], lists[1], lists[2]);
      case made_of::states:
      case made_of::states_back:
        return made.states(what == made_of::states_back, lists[0], lists[1], lists[2], lists[3],
                           lists.size() > 5 ? &lists[5] : nullptr, lists[4]);
      case made_of::gated_sum:
        return made.gated_sum(lists[0], lists[1]);
      default:
        return made.made(what, lists[0]);
    }
  };
  return known_.emplace(k, compile()).first->second;
}

template <class T>
const compiled_stream& compiler<T>::program(made_of what, const streams& list) {
  return known({what, {list}});
}

template <class T>
const compiled_stream& compiler<T>::scan_program(const scan_form& s, bool transposed) {
  return transposed ? known({made_of::scan_back, {s.after, s.decay, s.before}})
                    : known({made_of::scan, {s.before, s.decay, s.after}});
}

template <class T>
const compiled_stream& compiler<T>::unrolled_program(const unrolled_pass_form& f, bool transposed) {
  const auto with = [&](streams list, const streams& factors) {
    const streams more = sizes_.without_state(factors);
    list.insert(list.end(), more.begin(), more.end());
    return list;
  };
  const streams write = with(f.before, f.core.write), read = with(f.after, f.core.read),
                decay = sizes_.without_state(exponent_of(g_, f.core));
  std::vector<streams> lists = transposed ? std::vector{f.outer, read, decay, write, f.first}
                                          : std::vector{f.first, write, decay, read, f.outer};
  if (f.skips) lists.push_back(f.inner);
  return known({transposed ? made_of::states_back : made_of::states, std::move(lists)});
}

template <class T>
const compiled_stream& compiler<T>::gated_sum_program(const gated_sum_form& s) {
  return known({made_of::gated_sum, {s.outer, s.inner}});
}

template class compiler<float>;
template class compiler<double>;

}  // namespace alphaform
