#include <fmt/core.h>

#include <alphaform/backends/engine/engine.hpp>

namespace alphaform {

template <class T>
engine<T>::engine(const workspace& g, const environment<T>& env, const kernels<T>& k, carried<T>* carry)
    : g_(g), env_(env), k_(k), shapes_(g, env), arena_(k), carry_(carry) {}

template <class T>
tensor<T> engine<T>::state(const extents& size, T initial) {
  return carry_ != nullptr ? carry_->state(arena_, size, initial) : arena_.filled(size, initial);
}

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

// ---- streams

/// A stream whose entries depend on the same entries of its arguments only; everything else is evaluated whole and
/// kept.
template <class T>
bool engine<T>::pointwise(node_index i) const {
  const node& n = g_[i];
  if (n.is<terms::peak>() || n.is<terms::prior_peak>()) return false;
  if (!n.is<terms::applied>()) return true;
  return g_[n.a].is<terms::diag>() || g_[n.a].is<terms::expand>();
}

template <class T>
tensor<T> engine<T>::value(node_index i) {
  return value(i, everything(at(shapes_.of(i), axis::chan)));
}

template <class T>
tensor<T> engine<T>::value(node_index i, const window& w) {
  const auto cut = [&w](const tensor<T>& t) {
    return t.slice(axis::token, w.token_begin, w.token_end).slice(axis::chan, w.channel_begin, w.channel_end);
  };
  if (g_[i].is<terms::input>()) return cut(env_.inputs.find(g_[i].id)->second);
  if (pointwise(i)) return block(i, w);
  auto found = kept_.find(i);
  if (found == kept_.end()) found = kept_.emplace(i, anchor(i)).first;
  return cut(found->second);
}

template <class T>
tensor<T> engine<T>::block(node_index i, const window& w) {
  const node& n = g_[i];
  extents size = shapes_.of(i);
  if (at(size, axis::token) != 1) at(size, axis::token) = w.tokens();
  if (at(size, axis::chan) != 1) at(size, axis::chan) = w.channels();
  if (n.is<terms::parameter>()) {
    // Parameters are read in place; kernels never write to an argument.
    const view<const T> v = stream_parameter(env_, n);
    view<T> in_place{const_cast<T*>(v.data), v.size, v.stride};
    return {in_place.slice(axis::chan, w.channel_begin, w.channel_end), nullptr};
  }
  if (n.is<terms::one>()) return arena_.filled(size, 1);
  if (n.is<terms::nothing>()) return arena_.filled(size, 0);
  if (n.is<terms::inverse_size>()) return arena_.filled(size, T(1) / static_cast<T>(shapes_.entries(n.a, n.from)));
  if (n.is<terms::applied>() && g_[n.a].is<terms::expand>()) return value(n.b, w);
  const tensor<T> a = value(n.is<terms::applied>() ? g_[n.a].a : n.a, w);
  tensor<T> y = arena_.make(size);
  if (n.is<terms::function>()) {
    k_.map(n.function, a, y);
    return y;
  }
  const tensor<T> b = value(n.b, w);
  if (n.is<terms::plus>()) {
    k_.plus(a, b, y);
  } else if (n.is<terms::larger>()) {
    k_.larger(a, b, y);
  } else if (n.is<terms::times>() || n.is<terms::applied>()) {
    k_.times(a, b, y);
  } else {
    throw internal_error(fmt::format("the stream term '{}' cannot be evaluated", term_table[n.term].name));
  }
  return y;
}

template <class T>
tensor<T> engine<T>::anchor(node_index i) {
  const node& n = g_[i];
  if (n.is<terms::peak>() || n.is<terms::prior_peak>()) return peaks(n);
  return apply(n.a, value(n.b));
}

/// Running maxima p_t = max(p_{t-1} + x_t, y_t), with one more token in front that stands for everything before.
template <class T>
tensor<T> engine<T>::peaks(const node& n) {
  const tensor<T> log_decay = value(n.a), key = value(n.b);
  extents size = key.v.size;
  for (std::size_t k = 0; k < axis_count; ++k) size[k] = std::max(size[k], log_decay.v.size[k]);
  const std::size_t tokens = this->tokens();
  extents first = size;
  at(first, axis::token) = 1;
  at(size, axis::token) = tokens + 1;
  const tensor<T> before = state(first, T(-1e38)), steps = arena_.filled(size, 0), keys = arena_.make(size),
                  p = arena_.make(size);
  k_.copy(log_decay, steps.slice(axis::token, 1, tokens + 1));
  k_.copy(before, keys.slice(axis::token, 0, 1));
  k_.copy(key, keys.slice(axis::token, 1, tokens + 1));
  k_.peak(steps, keys, p);
  k_.copy(p.slice(axis::token, tokens, tokens + 1), before);
  return n.is<terms::prior_peak>() ? p.slice(axis::token, 0, tokens) : p.slice(axis::token, 1, tokens + 1);
}

// ---- operators

template <class T>
bool engine<T>::keeps_channels_apart(node_index p) const {
  const node& n = g_[p];
  if (n.is<terms::mix>()) return false;
  if (n.is<terms::contract>()) return !n.from.touches(chan);
  if (n.is<terms::expand>()) return !n.to.touches(chan);
  if (n.is<terms::product>() || n.is<terms::sum>()) return keeps_channels_apart(n.a) && keeps_channels_apart(n.b);
  if (n.is<terms::scan>() || n.is<terms::rownorm>()) return keeps_channels_apart(n.a);
  return true;
}

template <class T>
tensor<T> engine<T>::apply(node_index p, const tensor<T>& x) {
  return in_channel_windows(p, x, false);
}

template <class T>
tensor<T> engine<T>::adjoint(node_index p, const tensor<T>& g) {
  return in_channel_windows(p, g, true);
}

template <class T>
tensor<T> engine<T>::in_channel_windows(node_index p, const tensor<T>& x, bool transposed) {
  const extents size = shapes_.after(p, x.v.size);
  const std::size_t channels = at(size, axis::chan);
  const auto run = [&](tensor<T> part, const window& w) {
    return transposed ? adjoint(p, std::move(part), w) : apply(p, std::move(part), w);
  };
  if (!keeps_channels_apart(p) || channels <= channel_block) return run(x, everything(channels));
  tensor<T> y = arena_.make(size);
  for (std::size_t c = 0; c < channels; c += channel_block) {
    const window w{0, tokens(), c, std::min(c + channel_block, channels)};
    k_.copy(run(x.slice(axis::chan, w.channel_begin, w.channel_end), w),
            y.slice(axis::chan, w.channel_begin, w.channel_end));
  }
  return y;
}

/// Diag(stream) x, the stream evaluated a block of tokens at a time.
template <class T>
tensor<T> engine<T>::scaled(node_index stream, const tensor<T>& x, const window& w) {
  extents size = shapes_.of(stream);
  if (at(size, axis::token) != 1) at(size, axis::token) = w.tokens();
  if (at(size, axis::chan) != 1) at(size, axis::chan) = w.channels();
  for (std::size_t k = 0; k < axis_count; ++k) size[k] = std::max(size[k], x.v.size[k]);
  const tensor<T> y = arena_.make(size);
  const std::size_t tokens = at(size, axis::token);
  for (std::size_t t = 0; t < tokens; t += token_block) {
    const std::size_t end = std::min(t + token_block, tokens);
    const window part{w.token_begin + t, w.token_begin + end, w.channel_begin, w.channel_end};
    k_.times(value(stream, part), x.slice(axis::token, t, end), y.slice(axis::token, t, end));
  }
  return y;
}

/// x with every token stored, for operators that tell tokens apart.
template <class T>
static tensor<T> with_tokens(engine<T>& e, const tensor<T>& x, const window& w) {
  if (x.v.of(axis::token) == w.tokens()) return x;
  extents size = x.v.size;
  at(size, axis::token) = w.tokens();
  const tensor<T> y = e.memory().make(size);
  e.run().copy(x, y);
  return y;
}

/// The transpose of an Expand sums over the axis, the transpose of a Contract repeats along it.
template <class T>
static tensor<T> summed(engine<T>& e, const tensor<T>& x, axes over) {
  extents size = x.v.size;
  for (const axis_letter& a : axis_letters)
    if (over.contains(a.axis)) at(size, slot(a.axis)) = 1;
  const tensor<T> y = e.memory().filled(size, 0);
  e.run().total(1, false, x, y);
  return y;
}

/// Several tokens of an Unrolled at a time: state and controls stay small.
template <class T>
static tensor<T> run_unrolled(engine<T>& e, const unrolled_form& u, const tensor<T>& x, const window& w,
                              bool transposed) {
  extents size = x.v.size;
  at(size, axis::token) = w.tokens();
  at(size, axis::chan) = w.channels();
  const tensor<T> y = e.memory().make(size);
  extents state_size = size;
  at(state_size, axis::token) = 1;
  at(state_size, axis::state) =
      std::max(at(e.sizes().of(u.decay), axis::state), at(e.sizes().of(u.write), axis::state));
  const tensor<T> h = e.state(state_size, 0);
  const tensor<T> whole = with_tokens(e, x, w);
  const std::size_t blocks = (w.tokens() + token_block - 1) / token_block;
  for (std::size_t b = 0; b < blocks; ++b) {
    const std::size_t begin = (transposed ? blocks - 1 - b : b) * token_block,
                      end = std::min(begin + token_block, w.tokens());
    const window part{w.token_begin + begin, w.token_begin + end, w.channel_begin, w.channel_end};
    const auto kernel = transposed ? e.run().unrolled_adjoint : e.run().unrolled;
    kernel(e.value(u.decay, part), e.value(u.write, part), e.value(u.read, part), whole.slice(axis::token, begin, end),
           h, y.slice(axis::token, begin, end));
  }
  return y;
}

template <class T>
tensor<T> engine<T>::scan(node_index p, tensor<T> x, const window& w, bool transposed) {
  if (!g_[p].is<terms::diag>())
    throw internal_error("a recurrence whose transition is not diagonal cannot be evaluated yet");
  x = with_tokens(*this, x, w);
  extents size = x.v.size;
  const extents& decay = shapes_.of(g_[p].a);
  for (const axis a : {axis::head, axis::state, axis::rank}) at(size, a) = std::max(at(size, a), at(decay, a));
  if (at(decay, axis::chan) != 1) at(size, axis::chan) = w.channels();
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

/// P + Q of two results.
template <class T>
static tensor<T> together(engine<T>& e, const tensor<T>& a, const tensor<T>& b) {
  extents size = a.v.size;
  for (std::size_t k = 0; k < axis_count; ++k) size[k] = std::max(size[k], b.v.size[k]);
  const tensor<T> y = e.memory().make(size);
  e.run().plus(a, b, y);
  return y;
}

template <class T>
tensor<T> engine<T>::row_sums(node_index p, const window& w) {
  return apply(p, arena_.filled(stream_extents(w.tokens(), w.channels()), 1), w);
}

template <class T>
tensor<T> engine<T>::filtered(node_index p, tensor<T> x, const window& w, bool transposed) {
  const node& n = g_[p];
  x = with_tokens(*this, x, w);
  extents size = x.v.size;
  if (n.is<terms::mix>()) {
    const view<const T> weight = matrix_parameter(env_, g_[n.a]);
    at(size, slot(transposed ? n.to : n.from)) = 1;
    at(size, slot(transposed ? n.from : n.to)) = weight.of(transposed ? axis::head : axis::token);
    const tensor<T> y = arena_.make(size);
    (transposed ? k_.linear_adjoint : k_.linear)(weight, slot(n.from), slot(n.to), x, y);
    return y;
  }
  const view<const T> taps = n.is<terms::delay>()
                                 ? view<const T>{}
                                 : taps_parameter(env_, g_[n.a]).slice(axis::chan, w.channel_begin, w.channel_end);
  const std::size_t reach = carry_ == nullptr ? 0 : n.is<terms::delay>() ? 1 : taps.of(axis::rank) - 1;
  if (reach > 0) x = after_carried(x, reach, 0);
  const tensor<T> y = arena_.make(x.v.size);
  if (n.is<terms::delay>()) {
    k_.shift(transposed ? -1 : 1, x, y);
  } else {
    (transposed ? k_.fir_adjoint : k_.fir)(taps, x, y);
  }
  return y.slice(axis::token, reach, x.v.of(axis::token));
}

template <class T>
tensor<T> engine<T>::apply(node_index p, tensor<T> x, const window& w) {
  const node& n = g_[p];
  if (n.is<terms::product>()) {
    const std::vector<node_index> factors = factors_of(g_, p);
    for (std::size_t k = factors.size(); k > 0;) {
      const auto u = k >= 5 ? as_unrolled(g_, factors, k - 5) : std::nullopt;
      x = u ? run_unrolled(*this, *u, x, w, false) : apply(factors[k - 1], std::move(x), w);
      k -= u ? 5 : 1;
    }
    return x;
  }
  if (n.is<terms::sum>()) return together(*this, apply(n.a, x, w), apply(n.b, x, w));
  if (n.is<terms::identity>() || n.is<terms::expand>()) return x;
  if (n.is<terms::zero>()) return arena_.filled(x.v.size, 0);
  if (n.is<terms::diag>()) return scaled(n.a, x, w);
  if (n.is<terms::contract>()) return summed(*this, x, n.from);
  if (n.is<terms::scan>()) return scan(n.a, std::move(x), w, false);
  if (n.is<terms::rownorm>()) {
    const tensor<T> sums = row_sums(n.a, w);
    k_.map(function_code<functions::reciprocal>, sums, sums);
    const tensor<T> y = apply(n.a, std::move(x), w);
    k_.times(y, sums, y);
    return y;
  }
  if (n.is<terms::conv>() || n.is<terms::delay>() || n.is<terms::mix>()) return filtered(p, std::move(x), w, false);
  throw internal_error(fmt::format("the operator term '{}' cannot be evaluated", term_table[n.term].name));
}

template <class T>
tensor<T> engine<T>::adjoint(node_index p, tensor<T> g, const window& w) {
  const node& n = g_[p];
  if (n.is<terms::product>()) {
    const std::vector<node_index> factors = factors_of(g_, p);
    for (std::size_t k = 0; k < factors.size();) {
      const auto u = as_unrolled(g_, factors, k);
      g = u ? run_unrolled(*this, *u, g, w, true) : adjoint(factors[k], std::move(g), w);
      k += u ? 5 : 1;
    }
    return g;
  }
  if (n.is<terms::sum>()) return together(*this, adjoint(n.a, g, w), adjoint(n.b, g, w));
  if (n.is<terms::identity>() || n.is<terms::contract>()) return g;
  if (n.is<terms::zero>()) return arena_.filled(g.v.size, 0);
  if (n.is<terms::diag>()) return scaled(n.a, g, w);
  if (n.is<terms::expand>()) return summed(*this, g, n.to);
  if (n.is<terms::scan>()) return scan(n.a, std::move(g), w, true);
  if (n.is<terms::rownorm>()) {
    const tensor<T> sums = row_sums(n.a, w);
    k_.map(function_code<functions::reciprocal>, sums, sums);
    extents size = g.v.size;
    for (std::size_t k = 0; k < axis_count; ++k) size[k] = std::max(size[k], sums.v.size[k]);
    const tensor<T> scaled_g = arena_.make(size);
    k_.times(g, sums, scaled_g);
    return adjoint(n.a, scaled_g, w);
  }
  if (n.is<terms::conv>() || n.is<terms::delay>() || n.is<terms::mix>()) return filtered(p, std::move(g), w, true);
  throw internal_error(fmt::format("the operator term '{}' has no transpose", term_table[n.term].name));
}

template class engine<float>;
template class engine<double>;

}  // namespace alphaform
