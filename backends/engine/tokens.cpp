// Operators that mix tokens: recurrences, filters, orders, attention, and their transposes.
#include <fmt/core.h>

#include <alphaform/backends/engine/engine.hpp>

namespace alphaform {

/// x with the last `tokens` of what came before it in front; keeps its own last ones for later.
template <class T>
tensor<T> engine<T>::after_carried(const tensor<T>& x, std::size_t tokens, T initial) {
  extents before = x.v.size, all = x.v.size;
  at(before, axis::token) = tokens;
  at(all, axis::token) += tokens;
  const tensor<T> kept = state(before, initial), y = arena_.make(all);
  k_.copy(kept, y.slice(axis::token, 0, tokens));
  k_.copy(x, y.slice(axis::token, tokens, at(all, axis::token)));
  k_.copy(y.slice(axis::token, at(all, axis::token) - tokens, at(all, axis::token)), kept);
  return y;
}

/// x with every token stored, for operators that tell tokens apart.
template <class T>
tensor<T> engine<T>::with_tokens(tensor<T> x, const window& w) {
  extents size = single;
  at(size, axis::token) = w.tokens();
  return stored_along(std::move(x), size);
}

template <class T>
void engine<T>::needs_all_tokens(const node& n, const window& w) const {
  const std::string_view name = term_table[n.term].name;
  if (carry_ != nullptr)
    throw user_error(fmt::format("{} needs the whole text: it cannot be run token by token", name));
  if (w.token_begin != 0 || w.token_end != tokens())
    throw internal_error(fmt::format("{} was asked for a part of the tokens, but needs all of them", name));
}

// ---- orders and sums of tokens

template <class T>
tensor<T> engine<T>::over_tokens(const tensor<T>& x, const window& w) {
  needs_all_tokens({.term = term_code<terms::over_tokens>}, w);
  extents size = x.v.size;
  const auto times = static_cast<T>(at(size, axis::token) == 1 ? w.tokens() : 1);
  at(size, axis::token) = 1;
  const tensor<T> y = arena_.filled(size, 0);
  k_.total(times, false, x, y);
  return y;
}

template <class T>
tensor<T> engine<T>::reordered(const node& n, const tensor<T>& x, const window& w, bool transposed) {
  needs_all_tokens(n, w);
  const view<const T> order = n.is<terms::permute>() ? order_parameter(env_, g_[n.a], tokens()) : view<const T>{};
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
tensor<T> engine<T>::filtered(const node& n, tensor<T> x, const window& w, bool transposed) {
  x = with_tokens(std::move(x), w);
  if (n.is<terms::conv>() && !is_filter(g_[n.a]))  // Conv(w) = Contract_tap Diag(w) Lags(w)
    return transposed ? lagged(n, scaled(n.a, x, w), w, true) : summed(scaled(n.a, lagged(n, x, w, false), w), tap);
  const view<const T> taps = n.is<terms::delay>() ? view<const T>{} : w.of(stream_parameter(env_, g_[n.a]));
  const std::size_t reach = carry_ == nullptr ? 0 : n.is<terms::delay>() ? 1 : taps.of(axis::tap) - 1;
  if (reach > 0) x = after_carried(x, reach, 0);
  extents filters = taps.size;
  at(filters, axis::tap) = 1;
  const tensor<T> y = arena_.make(alphaform::together(x.v.size, filters));
  if (n.is<terms::delay>()) {
    k_.shift(transposed ? -1 : 1, x, y);
  } else {
    (transposed ? k_.fir_adjoint : k_.fir)(taps, x, y);
  }
  return y.slice(axis::token, reach, x.v.of(axis::token));
}

/// y_{t,k} = x_{t-(K-1-k)}, or the transpose, the sum over k of g_{t+(K-1-k),k}.
template <class T>
tensor<T> engine<T>::lagged(const node& n, tensor<T> x, const window& w, bool transposed) {
  const std::size_t taps = at(shapes_.of(n.a), axis::tap), reach = carry_ == nullptr ? 0 : taps - 1;
  x = with_tokens(std::move(x), w);
  if (reach > 0) x = after_carried(x, reach, 0);
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
  return y.slice(axis::token, reach, x.v.of(axis::token));
}

// ---- attention

template <class T>
tensor<T> engine<T>::attended(const node& n, bool normalised, tensor<T> x, const window& w, bool transposed) {
  x = with_tokens(std::move(x), w);
  if (normalised && w.token_begin > 0) {  // sums of whole rows start at the first token
    extents size = x.v.size;
    at(size, axis::token) = w.token_end;
    const tensor<T> all = arena_.filled(size, 0);
    k_.copy(x, all.slice(axis::token, w.token_begin, w.token_end));
    return attended(n, true, all, {0, w.token_end, w.channel_begin, w.channel_end}, transposed)
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

// ---- recurrences

/// An Unrolled that one kernel can run: its streams have no axes but tokens, channels and the state, which is stored.
template <class T>
std::optional<unrolled_form> engine<T>::fast_unrolled(const std::vector<node_index>& factors, std::size_t at_factor,
                                                      const tensor<T>& x) {
  const auto u = as_unrolled(g_, factors, at_factor);
  if (!u) return std::nullopt;
  const extents controls =
      alphaform::together(alphaform::together(shapes_.of(u->decay), shapes_.of(u->write)), shapes_.of(u->read));
  const extents size = alphaform::together(controls, x.v.size);
  for (const axis a : {axis::group, axis::head, axis::rank, axis::tap, axis::part})
    if (at(size, a) != 1) return std::nullopt;
  return at(controls, axis::state) == 1 || x.v.of(axis::state) != 1 ? std::nullopt : u;
}

/// Several tokens of an Unrolled at a time: state and controls stay small.
template <class T>
tensor<T> engine<T>::unrolled(const unrolled_form& u, const tensor<T>& x, const window& w, bool transposed) {
  const extents controls = alphaform::together(
      alphaform::together(w.of(shapes_.of(u.decay)), w.of(shapes_.of(u.write))), w.of(shapes_.of(u.read)));
  const tensor<T> whole = with_tokens(x, w);
  extents state_size = alphaform::together(whole.v.size, controls), size = state_size;
  at(size, axis::state) = 1;
  at(state_size, axis::token) = 1;
  const tensor<T> y = arena_.make(size), h = state(state_size, 0);
  const std::size_t blocks = (w.tokens() + token_block - 1) / token_block;
  for (std::size_t b = 0; b < blocks; ++b) {
    const std::size_t begin = (transposed ? blocks - 1 - b : b) * token_block,
                      end = std::min(begin + token_block, w.tokens());
    const window part{w.token_begin + begin, w.token_begin + end, w.channel_begin, w.channel_end};
    const auto kernel = transposed ? k_.unrolled_adjoint : k_.unrolled;
    kernel(value(u.decay, part), value(u.write, part), value(u.read, part), whole.slice(axis::token, begin, end), h,
           y.slice(axis::token, begin, end));
  }
  return y;
}

template <class T>
tensor<T> engine<T>::scan(node_index p, tensor<T> x, const window& w, bool transposed) {
  x = with_tokens(std::move(x), w);
  if (!g_[p].is<terms::diag>()) return token_by_token(p, std::move(x), w, transposed);
  const extents size = alphaform::together(x.v.size, w.of(shapes_.of(g_[p].a)));
  const tensor<T> y = arena_.make(size);
  extents state_size = size;
  at(state_size, axis::token) = 1;
  const tensor<T> h = state(state_size, 0);
  const std::size_t blocks = (w.tokens() + token_block - 1) / token_block;
  for (std::size_t b = 0; b < blocks; ++b) {
    const std::size_t begin = (transposed ? blocks - 1 - b : b) * token_block,
                      end = std::min(begin + token_block, w.tokens());
    const window part{w.token_begin + begin, w.token_begin + end, w.channel_begin, w.channel_end};
    const auto kernel = transposed ? k_.recur_adjoint : k_.recur;
    kernel(value(g_[p].a, part), x.slice(axis::token, begin, end), h, y.slice(axis::token, begin, end));
  }
  return y;
}

/// h_t = P_t h_{t-1} + x_t for a P that works within a token; transposed, z_t = g_t + P_{t+1}' z_{t+1} from the last
/// token.
template <class T>
tensor<T> engine<T>::token_by_token(node_index p, tensor<T> x, const window& w, bool transposed) {
  if (!works_within_tokens(g_, p))
    throw user_error("Scan needs a transition that works within a token; this one mixes tokens");
  const auto within = [&](std::size_t t) {
    return window{w.token_begin + t, w.token_begin + t + 1, w.channel_begin, w.channel_end};
  };
  const auto by = [&](const tensor<T>& h, std::size_t t) {
    return transposed ? adjoint(p, h, within(t)) : apply(p, h, within(t));
  };
  // A state that is repeated along an axis at first is stored as soon as P tells its entries apart.
  extents size = x.v.size;
  at(size, axis::token) = 1;
  for (extents before{}; before != size;) {
    before = size;
    size = alphaform::together(size, by(arena_.filled(size, 0), 0).v.size);
  }
  const tensor<T> h = state(size, 0);
  at(size, axis::token) = w.tokens();
  const tensor<T> y = arena_.make(size);
  for (std::size_t i = 0; i < w.tokens(); ++i) {
    const std::size_t t = transposed ? w.tokens() - 1 - i : i;
    const tensor<T> row = y.slice(axis::token, t, t + 1), in = x.slice(axis::token, t, t + 1);
    if (transposed) {
      k_.plus(h, in, row);
      k_.copy(by(row, t), h);
    } else {
      k_.plus(by(h, t), in, row);
      k_.copy(row, h);
    }
  }
  return y;
}

/// P one token later in reversed time: P_{T-t} for t > 0, and 0 for the first token.
template <class T>
tensor<T> engine<T>::retimed(node_index p, tensor<T> x, const window& w, bool transposed) {
  x = with_tokens(std::move(x), w);
  std::optional<tensor<T>> y;
  for (std::size_t i = w.tokens(); i-- > 0;) {
    const std::size_t t = w.token_begin + i;
    if (t == 0) continue;
    const window there{tokens() - t, tokens() - t + 1, w.channel_begin, w.channel_end};
    const tensor<T> in = x.slice(axis::token, i, i + 1);
    const tensor<T> part = transposed ? adjoint(p, in, there) : apply(p, in, there);
    if (!y) {
      extents size = part.v.size;
      at(size, axis::token) = w.tokens();
      y = arena_.filled(size, 0);
    }
    k_.copy(part, y->slice(axis::token, i, i + 1));
  }
  return y ? *y : arena_.filled(single, 0);
}

template class engine<float>;
template class engine<double>;

}  // namespace alphaform
