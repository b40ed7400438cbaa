// Operators that mix tokens: recurrences, filters, orders, attention, and their transposes.
#include <fmt/core.h>

#include <alphaform/backends/engine/engine.hpp>

namespace alphaform {

/// What was carried, and beside it as many of the window's tokens, or all if it has fewer: its first ones behind it, or
/// its last ones before it. The window's own outermost tokens are carried on.
template <class T>
tensor<T> evaluation<T>::with_carried(const tensor<T>& x, std::size_t reach, bool before) {
  const std::size_t tokens = x.v.of(axis::token), near = std::min(reach, tokens), end = reach + near;
  extents edge = x.v.size, all = x.v.size;
  at(edge, axis::token) = reach;
  at(all, axis::token) = end;
  const tensor<T> kept = state(edge, 0), y = arena_.make(all);
  k_.copy(kept, before ? y.slice(axis::token, 0, reach) : y.slice(axis::token, near, end));
  if (before) {
    k_.copy(x.slice(axis::token, 0, near), y.slice(axis::token, reach, end));
    k_.copy(near < reach ? y.slice(axis::token, near, end) : x.slice(axis::token, tokens - reach, tokens), kept);
  } else {
    k_.copy(x.slice(axis::token, tokens - near, tokens), y.slice(axis::token, 0, near));
    k_.copy(near < reach ? y.slice(axis::token, 0, reach) : x.slice(axis::token, 0, reach), kept);
  }
  return y;
}

/// run(x, to) for what looks back, or ahead, as far as `reach`: only tokens at the window's edge see what was carried.
template <class T>
template <class Run>
tensor<T> evaluation<T>::beside_carried(const tensor<T>& x, std::size_t reach, bool before, const tensor<T>* to,
                                        const Run& run) {
  if (reach == 0) return run(x, to);
  const std::size_t tokens = x.v.of(axis::token), near = std::min(reach, tokens);
  tensor<T> edge = run(with_carried(x, reach, before), nullptr);
  edge = before ? edge.slice(axis::token, reach, reach + near) : edge.slice(axis::token, 0, near);
  if (near == tokens) return edge;
  const tensor<T> y = run(x, to);
  k_.copy(edge, before ? y.slice(axis::token, 0, near) : y.slice(axis::token, tokens - near, tokens));
  return y;
}

/// x with every token stored, for operators that tell tokens apart.
template <class T>
tensor<T> evaluation<T>::with_tokens(tensor<T> x, const window& w) {
  extents size = single;
  at(size, axis::token) = w.tokens();
  return stored_along(std::move(x), size);
}

template <class T>
void evaluation<T>::needs_all_tokens(const node& n, const window& w) const {
  const std::string_view name = term_table[n.term].name;
  if (carry_ != nullptr)
    throw user_error(fmt::format("{} needs the whole text: it cannot be run token by token", name));
  if (w.token_begin != 0 || w.token_end != whole_.tokens())
    throw internal_error(fmt::format("{} was asked for a part of the tokens, but needs all of them", name));
}

// ---- orders and sums of tokens

template <class T>
tensor<T> evaluation<T>::over_tokens(const tensor<T>& x, const window& w) {
  needs_all_tokens({.term = term_code<terms::over_tokens>}, w);
  extents size = x.v.size;
  const auto times = static_cast<T>(at(size, axis::token) == 1 ? w.tokens() : 1);
  at(size, axis::token) = 1;
  const tensor<T> y = arena_.filled(size, 0);
  k_.total(times, false, x, y);
  return y;
}

template <class T>
tensor<T> evaluation<T>::reordered(const node& n, const tensor<T>& x, const window& w, bool transposed) {
  needs_all_tokens(n, w);
  const view<const T> order =
      n.is<terms::permute>() ? order_parameter(env_, g_[n.a], whole_.tokens()) : view<const T>{};
  if (x.v.of(axis::token) == 1) return x;
  const tensor<T> y = arena_.make(x.v.size);
  if (n.is<terms::reverse>())
    k_.reverse(x, y);
  else
    (transposed ? k_.scatter : k_.gather)(order, x, y);
  return y;
}

// ---- filters

template <class T>
tensor<T> evaluation<T>::filtered(const node& n, tensor<T> x, const window& w, bool transposed, const tensor<T>* to) {
  x = with_tokens(std::move(x), w);
  if (n.is<terms::conv>() && at(shapes_.of(n.a), axis::token) > 1)  // Conv(w) = Contract_tap Diag(w) Lags(w)
    return transposed ? lagged(n, scaled({n.a}, x, w), w, true) : summed(scaled({n.a}, lagged(n, x, w, false), w), tap);
  const tensor<T> filter = n.is<terms::conv>() ? value(n.a, w) : tensor<T>{};
  const view<const T> taps = filter.v;
  const std::size_t reach = carry_ == nullptr ? 0 : n.is<terms::delay>() ? 1 : taps.of(axis::tap) - 1;
  extents filters = taps.size;
  at(filters, axis::tap) = 1;
  return beside_carried(x, reach, !transposed, to, [&](const tensor<T>& in, const tensor<T>* there) {
    const tensor<T> y = place(alphaform::together(in.v.size, filters), there);
    if (n.is<terms::delay>())
      k_.shift(transposed ? -1 : 1, in, y);
    else
      (transposed ? k_.fir_adjoint : k_.fir)(taps, in, y);
    return y;
  });
}

/// A filter of so few taps that a pass over something else takes it too.
template <class T>
bool evaluation<T>::is_short_filter(node_index p) const {
  const auto reach = g_[p].is<terms::conv>() ? whole_.reach(p) : std::nullopt;
  return reach && *reach < taps_of_a_pass;
}
/// The filter that makes a stream, if it is one of these.
template <class T>
node_index evaluation<T>::short_filter_of(node_index stream) const {
  return g_[stream].is<terms::applied>() && is_short_filter(g_[stream].a) ? g_[stream].a : absent;
}

/// One pass pays where the gates are made of filtered streams, as SiLU is: these need not be stored.
template <class T>
bool evaluation<T>::fits(const gated_filter_form& f) {
  if (k_.gated_fir_adjoint == nullptr || !whole_.has_whole_text() || !is_short_filter(f.filter)) return false;
  const streams& reads = whole_.programs().program(made_of::product_with, f.gates).reads;
  return std::any_of(reads.begin(), reads.end(), [&](node_index i) { return short_filter_of(i) != absent; });
}

/// Conv' Diag(gates) g of all tokens.
template <class T>
tensor<T> evaluation<T>::filtered_back(const gated_filter_form& f, tensor<T> g, const window& w, const tensor<T>* to) {
  const compiled_stream& c = whole_.programs().program(made_of::product_with, f.gates);
  const tensor<T> taps = value(g_[f.filter].a, w), back = with_tokens(std::move(g), w);
  std::vector<tensor<T>> keep;
  std::vector<filtered_stream<T>> operands;
  const extents size = alphaform::together(back.v.size, w.of(c.size));
  extents lanes = taps.v.size;
  at(lanes, axis::tap) = 1;
  const auto read = [&](node_index i) -> view<const T> { return keep.emplace_back(value(i, w)); };
  for (const node_index i : c.reads) {
    const node_index filter = short_filter_of(i);
    operands.push_back({read(filter == absent ? i : g_[i].b), filter == absent ? view<const T>{} : read(g_[filter].a)});
  }
  operands.push_back({back, {}});
  const tensor<T> y = place(alphaform::together(size, lanes), to);
  k_.gated_fir_adjoint(c.program, operands, taps, y);
  return y;
}

/// y_{t,k} = x_{t-(K-1-k)}, or the transpose, the sum over k of g_{t+(K-1-k),k}.
template <class T>
tensor<T> evaluation<T>::lagged(const node& n, tensor<T> x, const window& w, bool transposed) {
  const std::size_t taps = at(shapes_.of(n.a), axis::tap), reach = carry_ == nullptr ? 0 : taps - 1;
  return beside_carried(with_tokens(std::move(x), w), reach, !transposed, nullptr,
                        [&](const tensor<T>& in, const tensor<T>*) {
                          extents size = in.v.size;
                          at(size, axis::tap) = transposed ? 1 : taps;
                          const tensor<T> y = transposed ? arena_.filled(size, 0) : arena_.make(size);
                          const tensor<T> moved = transposed ? arena_.make(size) : tensor<T>{};
                          for (std::size_t k = 0; k < taps; ++k) {
                            const auto lag = static_cast<std::ptrdiff_t>(taps - 1 - k);
                            if (transposed) {
                              k_.shift(-lag, in.slice(axis::tap, k, k + 1), moved);
                              k_.plus(y, moved, y);
                            } else {
                              k_.shift(lag, in, y.slice(axis::tap, k, k + 1));
                            }
                          }
                          return y;
                        });
}

// ---- attention

template <class T>
tensor<T> evaluation<T>::attended(const node& n, bool normalised, tensor<T> x, const window& w, bool transposed) {
  x = with_tokens(std::move(x), w);
  if (normalised && w.token_begin > 0) {  // sums of whole rows start at the first token
    extents size = x.v.size;
    at(size, axis::token) = w.token_end;
    const tensor<T> all = arena_.filled(size, 0);
    k_.copy(x, all.slice(axis::token, w.token_begin, w.token_end));
    return attended(n, true, all, w.at_tokens(0, w.token_end), transposed)
        .slice(axis::token, w.token_begin, w.token_end);
  }
  tensor<T> q = value(n.a, w);
  tensor<T> k = value(n.b, w);
  const std::size_t reach = window_parameter(env_, n);
  extents states = single;
  if (q.v.of(axis::state) == 1 && k.v.of(axis::state) == 1) at(states, axis::state) = shapes_.length(axis::state);
  q = stored_along(std::move(q), states);
  const extents size = alphaform::together(x.v.size, [&] {
    extents heads = alphaform::together(q.v.size, k.v.size);
    at(heads, axis::state) = 1;
    return heads;
  }());
  if (carry_ != nullptr) {
    if (transposed) needs_all_tokens(n, w);
    k = carry_->appended(arena_, k_, with_tokens(std::move(k), w), reach);
    x = carry_->appended(arena_, k_, std::move(x), reach);
  }
  const tensor<T> y = arena_.make(size);
  (transposed ? k_.attend_adjoint : k_.attend)(q, k, normalised, reach, x, y);
  return y;
}

template class evaluation<float>;
template class evaluation<double>;

}  // namespace alphaform
