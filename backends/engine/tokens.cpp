// Operators that mix tokens: recurrences, filters, orders, attention, and their transposes.
#include <fmt/core.h>

#include <alphaform/backends/engine/engine.hpp>

namespace alphaform {

/// x beside `tokens` of what was carried, before it or after it; its own outermost ones are carried on.
template <class T>
tensor<T> evaluation<T>::beside_carried(const tensor<T>& x, std::size_t tokens, bool before) {
  extents edge = x.v.size, all = x.v.size;
  at(edge, axis::token) = tokens;
  at(all, axis::token) += tokens;
  const std::size_t end = at(all, axis::token);
  const tensor<T> kept = state(edge, 0), y = arena_.make(all);
  const auto part = [&](std::size_t begin, std::size_t length) { return y.slice(axis::token, begin, begin + length); };
  k_.copy(kept, part(before ? 0 : end - tokens, tokens));
  k_.copy(x, part(before ? tokens : 0, end - tokens));
  k_.copy(part(before ? end - tokens : 0, tokens), kept);
  return y;
}

/// What belongs to the window's own tokens.
template <class T>
tensor<T> own_tokens(const tensor<T>& y, std::size_t carried, bool before) {
  const std::size_t all = y.v.of(axis::token);
  return carried == 0 ? y : y.slice(axis::token, before ? carried : 0, before ? all : all - carried);
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
tensor<T> evaluation<T>::filtered(const node& n, tensor<T> x, const window& w, bool transposed) {
  x = with_tokens(std::move(x), w);
  if (n.is<terms::conv>() && !is_filter(g_[n.a]))  // Conv(w) = Contract_tap Diag(w) Lags(w)
    return transposed ? lagged(n, scaled({n.a}, x, w), w, true) : summed(scaled({n.a}, lagged(n, x, w, false), w), tap);
  const view<const T> taps = n.is<terms::delay>() ? view<const T>{} : w.lanes_of(stream_parameter(env_, g_[n.a]));
  const std::size_t reach = carry_ == nullptr ? 0 : n.is<terms::delay>() ? 1 : taps.of(axis::tap) - 1;
  if (reach > 0) x = beside_carried(x, reach, !transposed);
  extents filters = taps.size;
  at(filters, axis::tap) = 1;
  const tensor<T> y = arena_.make(alphaform::together(x.v.size, filters));
  if (n.is<terms::delay>()) {
    k_.shift(transposed ? -1 : 1, x, y);
  } else {
    (transposed ? k_.fir_adjoint : k_.fir)(taps, x, y);
  }
  return own_tokens(y, reach, !transposed);
}

/// y_{t,k} = x_{t-(K-1-k)}, or the transpose, the sum over k of g_{t+(K-1-k),k}.
template <class T>
tensor<T> evaluation<T>::lagged(const node& n, tensor<T> x, const window& w, bool transposed) {
  const std::size_t taps = at(shapes_.of(n.a), axis::tap), reach = carry_ == nullptr ? 0 : taps - 1;
  x = with_tokens(std::move(x), w);
  if (reach > 0) x = beside_carried(x, reach, !transposed);
  extents size = x.v.size;
  at(size, axis::tap) = transposed ? 1 : taps;
  const tensor<T> y = transposed ? arena_.filled(size, 0) : arena_.make(size);
  const tensor<T> moved = transposed ? arena_.make(size) : tensor<T>{};
  for (std::size_t k = 0; k < taps; ++k) {
    const auto lag = static_cast<std::ptrdiff_t>(taps - 1 - k);
    if (transposed) {
      k_.shift(-lag, x.slice(axis::tap, k, k + 1), moved);
      k_.plus(y, moved, y);
    } else {
      k_.shift(lag, x, y.slice(axis::tap, k, k + 1));
    }
  }
  return own_tokens(y, reach, !transposed);
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
