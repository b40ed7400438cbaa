// Operators term by term. A sum of products is a graph in which subterms occur many times (the derivative of one stream
// in the derivatives of all that depend on it); each that meets the same operand is evaluated once.
#include <fmt/core.h>

#include <alphaform/backends/engine/engine.hpp>

namespace alphaform {

namespace {

/// The streams of Diags.
streams diagonals_of(const workspace& g, const std::vector<node_index>& factors, std::size_t begin, std::size_t end) {
  streams list;
  for (std::size_t k = begin; k < end; ++k) list.push_back(g[factors[k]].a);
  return list;
}

}  // namespace

/// What an operator is applied to, and what parts of the operator have made of it already.
template <class T>
struct evaluation<T>::operand final {
  tensor<T> x;
  window w;
  const std::vector<bool>& repeated;  ///< of the operator's parts, those that may meet it again
  node_index stream = absent;         ///< of the graph, if it is one
  std::map<node_index, tensor<T>> known{};
};

template <class T>
tensor<T> evaluation<T>::apply(node_index p, node_index s, const window& w, const tensor<T>* to) {
  operand o{value(s, w), w, whole_.repeated_in(p), s};
  return applied(p, o, to);
}

template <class T>
tensor<T> evaluation<T>::apply(node_index p, tensor<T> x, const window& w, const tensor<T>* to) {
  operand o{std::move(x), w, whole_.repeated_in(p)};
  return applied(p, o, to);
}

template <class T>
tensor<T> evaluation<T>::applied(node_index p, operand& o, const tensor<T>* to) {
  const node& n = g_[p];
  if (const auto found = o.known.find(p); found != o.known.end()) return found->second;
  const auto keep = [&](node_index i, const tensor<T>& y) {
    if (i != absent && o.repeated[i]) o.known[i] = y;
  };
  tensor<T> y;
  if (n.is<terms::product>()) {
    const spine s(g_, p);
    const auto joins = [&](std::size_t j) { return s.suffix[j] == absent || !o.repeated[s.suffix[j]]; };
    std::size_t k = s.size();
    for (std::size_t j = 1; j < k; ++j)
      if (const auto found = o.known.find(s.suffix[j]); found != o.known.end()) {
        y = found->second;
        k = j;
      }
    while (k > 0) {
      const bool first = k == s.size();
      const tensor<T> x = first ? o.x : y;
      std::size_t d = k;
      while (d > 0 && g_[s.factors[d - 1]].is<terms::diag>()) --d;
      if (const auto pass = unrolled_pass_up_to(g_, s.factors, k, joins);
          pass && fits(*pass, x) && (!first || !o.repeated[s.factors[k - 1]])) {
        k -= pass->factors;
        y = unrolled_pass(*pass, x, o.w, false, k == 0 ? to : nullptr);
      } else if (const auto u = unrolled_up_to(g_, s.factors, k); u && fits(*u, x)) {
        k -= u->factors;
        y = unrolled(*u, x, o.w, false, k == 0 ? to : nullptr);
      } else if (const auto scanned = scan_up_to(g_, s.factors, k, joins)) {
        k -= scanned->factors;
        y = scan(*scanned, x, o.w, false, k == 0 ? to : nullptr);
      } else if (const auto sum = gated_sum_up_to(g_, s.factors, k, joins);
                 sum && (!first || !o.repeated[s.factors[k - 1]])) {
        const tensor<T> other = first ? applied(sum->other, o, nullptr) : apply(sum->other, x, o.w);
        k -= sum->factors;
        y = gated(*sum, x, other, o.w, k == 0 ? to : nullptr);
      } else if (d < k) {
        y = scaled(diagonals_of(g_, s.factors, d, k), x, o.w, d == 0 ? to : nullptr);
        k = d;
      } else if (k >= 2 && is_softmax(g_, s.factors, k - 2)) {
        y = attended(g_[s.factors[k - 1]], true, x, o.w, false);
        k -= 2;
      } else {
        k -= 1;
        const tensor<T>* const there = k == 0 ? to : nullptr;
        y = first ? applied(s.factors[k], o, there) : apply(s.factors[k], std::move(y), o.w, there);
      }
      if (k > 0) keep(s.suffix[k], y);
    }
  } else if (n.is<terms::sum>() || n.is<terms::paths>()) {
    const tensor<T> a = applied(n.a, o, nullptr);
    y = together(a, applied(n.b, o, nullptr), to);
  } else if (const node_index s = o.stream != absent ? whole_.stream_of(p, o.stream) : absent; s != absent) {
    y = shared().around(o.w)[s] = value(s, o.w);
  } else {
    y = step(p, o.x, o.w, false, to);
  }
  keep(p, y);
  return y;
}

/// One operator that is no sum or product.
template <class T>
tensor<T> evaluation<T>::step(node_index p, tensor<T> x, const window& w, bool transposed, const tensor<T>* to) {
  const node& n = g_[p];
  if (n.is<terms::identity>()) return x;
  if (n.is<terms::zero>()) return arena_.filled(single, 0);
  if (n.is<terms::diag>()) return scaled({n.a}, x, w, to);
  if (n.is<terms::expand>()) return transposed ? summed(x, n.to) : x;  // repeated without storing
  if (n.is<terms::contract>()) return transposed ? x : summed(x, n.from);
  if (n.is<terms::every_token>()) return transposed ? over_tokens(x, w) : x.slice(axis::token, 0, 1);
  if (n.is<terms::over_tokens>()) return transposed ? x.slice(axis::token, 0, 1) : over_tokens(x, w);
  if (one_of<terms::embed, terms::real, terms::turn>(n.term)) return complex(n, x, transposed);
  if (n.is<terms::reverse>() || n.is<terms::permute>()) return reordered(n, x, w, transposed);
  if (n.is<terms::mix>()) return mixed(n, std::move(x), w, transposed, to);
  if (n.is<terms::conv>() || n.is<terms::delay>()) return filtered(n, std::move(x), w, transposed, to);
  if (n.is<terms::lags>()) return lagged(n, std::move(x), w, transposed);
  if (n.is<terms::attend>()) return attended(n, false, std::move(x), w, transposed);
  if (n.is<terms::scan>()) return scan(n.a, std::move(x), w, transposed, to);
  if (n.is<terms::rownorm>() || n.is<terms::bounded_rownorm>()) return normalised(n, std::move(x), w, transposed);
  if (n.is<terms::adjoint>()) return transposed ? apply(n.a, std::move(x), w) : adjoint(n.a, std::move(x), w);
  if (n.is<terms::retimed>()) return retimed(n.a, std::move(x), w, transposed);
  throw internal_error(fmt::format("the operator term '{}' cannot be evaluated", term_table[n.term].name));
}

/// Where a result goes: there if it fits, or into new memory.
template <class T>
tensor<T> evaluation<T>::place(const extents& size, const tensor<T>* to) {
  return to != nullptr && to->v.size == size ? *to : arena_.make(size);
}

// ---- within a token

/// A program's result, block by block of the tokens.
template <class T>
tensor<T> evaluation<T>::in_blocks(const compiled_stream& c, const window& w, const brought& all, const tensor<T>* to) {
  extents size = w.of(c.size);
  for (const tensor<T>& x : all) size = alphaform::together(size, x.v.size);
  const tensor<T> y = place(size, to);
  const std::size_t tokens = y.v.of(axis::token);
  for (std::size_t t = 0, at_once = tokens_at_once(w); t < tokens; t += at_once) {
    const std::size_t end = std::min(t + at_once, tokens);
    const window block = tokens == 1 ? w : w.at_tokens(w.token_begin + t, w.token_begin + end);
    brought parts;
    for (const tensor<T>& x : all) parts.push_back(x.slice(axis::token, t, end));
    evaluate(c, block, parts, y.slice(axis::token, t, end));
  }
  return y;
}

/// Diag(product of streams) x.
template <class T>
tensor<T> evaluation<T>::scaled(const streams& list, const tensor<T>& x, const window& w, const tensor<T>* to) {
  return in_blocks(whole_.programs().program(made_of::product_with, list), w, {x}, to);
}
template <class T>
tensor<T> evaluation<T>::gated(const gated_sum_form& s, const tensor<T>& x, const tensor<T>& other, const window& w,
                               const tensor<T>* to) {
  return in_blocks(whole_.programs().gated_sum_program(s), w, {x, other}, to);
}

/// Sums over axes; one along which x is only repeated counts as often as it has entries.
template <class T>
tensor<T> evaluation<T>::summed(const tensor<T>& x, axes over) {
  extents size = x.v.size;
  std::size_t times = 1;
  for (const axis_letter& a : axis_letters) {
    if (!over.contains(a.axis)) continue;
    if (x.v.of(slot(a.axis)) == 1) times *= shapes_.length(slot(a.axis));
    at(size, slot(a.axis)) = 1;
  }
  const tensor<T> y = arena_.filled(size, 0);
  k_.total(static_cast<T>(times), false, x, y);
  return y;
}

template <class T>
tensor<T> evaluation<T>::complex(const node& n, const tensor<T>& x, bool transposed) {
  if (n.is<terms::turn>()) return turned(n, x, transposed);
  extents size = x.v.size;
  at(size, axis::part) = 2;
  const auto real_part = [](const tensor<T>& t) { return t.slice(axis::part, 0, 1); };
  if (n.is<terms::real>() != transposed) return real_part(x);
  const tensor<T> y = arena_.filled(size, 0);
  k_.copy(x, real_part(y));
  return y;
}

/// (x, y) to (-y, x) for the two halves of an axis; the transpose is the other way around.
template <class T>
tensor<T> evaluation<T>::turned(const node& n, const tensor<T>& stream, bool transposed) {
  const axis a = slot(n.to);
  extents every = single;
  at(every, a) = shapes_.turned(n, stream.v.of(a) == 1 ? 0 : stream.v.of(a));
  const tensor<T> x = stored_along(stream, every), y = arena_.make(x.v.size);
  const std::size_t half = at(every, a) / 2;
  const auto part = [&](const tensor<T>& t, bool second) {
    return t.slice(a, second ? half : 0, second ? 2 * half : half);
  };
  k_.map(function_code<functions::neg>, part(x, !transposed), part(y, transposed));
  k_.copy(part(x, transposed), part(y, !transposed));
  return y;
}

template <class T>
tensor<T> evaluation<T>::stored_along(tensor<T> x, const extents& size) {
  const extents all = alphaform::together(x.v.size, size);
  if (all == x.v.size) return x;
  const tensor<T> y = arena_.make(all);
  k_.copy(x, y);
  return y;
}

template <class T>
tensor<T> evaluation<T>::mixed(const node& n, tensor<T> x, const window& w, bool transposed, const tensor<T>* to) {
  if (is_matrix(g_, n)) return matrix_product(n, std::move(x), transposed, to);
  if (n.to.touches(n.from))
    throw user_error("a matrix that is no parameter can be applied only from one axis to another");
  return summed(scaled({n.a}, x, w), transposed ? n.to : n.from);
}

/// A stored matrix, or one for every entry of some axes.
template <class T>
tensor<T> evaluation<T>::matrix_product(const node& n, tensor<T> x, bool transposed, const tensor<T>* to) {
  const matrix_view<T> m = matrix_parameter(g_, env_, n);
  if (volume(m.each) == 1) return matrix_product(m, n, std::move(x), transposed, to);
  x = stored_along(std::move(x), m.each);
  tensor<T> y;
  for (std::size_t i = 0; i < volume(m.each); ++i) {
    matrix_view<T> one = m;
    one.w.data += i * volume(m.rows) * volume(m.columns);
    tensor<T> part = x;
    extents place{};
    for (std::size_t k = axis_count, rest = i; k-- > 0;) {
      place[k] = rest % m.each[k];
      rest /= m.each[k];
      if (m.each[k] != 1) part = part.slice(every_axis[k], place[k], place[k] + 1);
    }
    part = matrix_product(one, n, part, transposed, nullptr);
    if (!y) {
      extents size = part.v.size;
      for (std::size_t k = 0; k < axis_count; ++k) size[k] *= m.each[k];
      y = arena_.make(size);
    }
    tensor<T> to = y;
    for (std::size_t k = 0; k < axis_count; ++k)
      if (m.each[k] != 1) to = to.slice(every_axis[k], place[k], place[k] + 1);
    k_.copy(part, to);
  }
  return y;
}

/// Several axes that a matrix consumes or makes are one long axis to the kernel.
template <class T>
tensor<T> evaluation<T>::matrix_product(const matrix_view<T>& m, const node& n, tensor<T> x, bool transposed,
                                        const tensor<T>* to) {
  const extents &consumed = transposed ? m.rows : m.columns, &made = transposed ? m.columns : m.rows;
  extents rest = x.v.size;
  for (std::size_t k = 0; k < axis_count; ++k) {
    if (consumed[k] == 1) continue;
    if (rest[k] != 1 && rest[k] != consumed[k])
      throw user_error(
          fmt::format("the matrix '{}' has the shape [{}, {}] but is applied to a stream with {} entries{}", g_[n.a].id,
                      m.w.of(axis::token), m.w.of(axis::head), rest[k], transposed ? " as its transpose" : ""));
    rest[k] = 1;
  }
  x = stored_along(std::move(x), consumed);
  const extents size = alphaform::together(rest, made);
  const auto single_axis = [](axes a) { return (a.bits & (a.bits - 1)) == 0; };
  const axes in = transposed ? n.to : n.from, out = transposed ? n.from : n.to;
  const auto kernel = transposed ? k_.linear_adjoint : k_.linear;
  if (single_axis(in) && single_axis(out)) {
    const tensor<T> y = place(size, to);
    kernel(m.w, slot(n.from), slot(n.to), x, y);
    return y;
  }
  if (volume(rest) != rest[0])
    throw user_error(fmt::format(
        "the matrix '{}' makes or consumes several axes, and is applied to a stream with others", g_[n.a].id));
  // Both as [tokens, entries], entries on the axes that the kernel is told.
  const auto flat = [&](const view<T>& v, const extents& entries) {
    extents two = stream_extents(v.of(axis::token), volume(entries));
    return view<T>{v.data, two, contiguous(two), v.format};
  };
  if (x.v.stride != contiguous(x.v.size)) {
    const tensor<T> copy = arena_.make(x.v.size);
    k_.copy(x, copy);
    x = copy;
  }
  const tensor<T> y = arena_.make(size);
  kernel(m.w, axis::chan, axis::chan, flat(x.v, consumed), flat(y.v, made));
  return y;
}

/// P + Q of two results.
template <class T>
tensor<T> evaluation<T>::together(const tensor<T>& a, const tensor<T>& b, const tensor<T>* to) {
  const tensor<T> y = place(alphaform::together(a.v.size, b.v.size), to);
  k_.plus(a, b, y);
  return y;
}

// ---- normalised rows

/// 1 / (row sums of P), 0 for a row that is 0; of all tokens, then the window's part.
template <class T>
tensor<T> evaluation<T>::row_factors(const node& n, const window& w) {
  const tensor<T> sums = apply(n.a, arena_.filled(single, 1), w.at_tokens(0, whole_.tokens()));
  const tensor<T> y = arena_.make(sums.v.size);
  if (n.is<terms::bounded_rownorm>()) {
    k_.map(function_code<functions::abs>, sums, y);
    k_.larger(y, arena_.filled(single, 1), y);
    k_.inverse(y, y);
  } else {
    k_.inverse(sums, y);
  }
  return y.slice(axis::token, w.token_begin, w.token_end);
}

template <class T>
tensor<T> evaluation<T>::normalised(const node& n, tensor<T> x, const window& w, bool transposed) {
  if (n.is<terms::rownorm>() && g_[n.a].is<terms::attend>())
    return attended(g_[n.a], true, std::move(x), w, transposed);
  const tensor<T> factors = row_factors(n, w);
  if (!transposed) x = apply(n.a, std::move(x), w);
  const tensor<T> y = arena_.make(alphaform::together(x.v.size, factors.v.size));
  k_.times(x, factors, y);
  return transposed ? adjoint(n.a, y, w) : y;
}

template class evaluation<float>;
template class evaluation<double>;

}  // namespace alphaform
