// Streams: their values in windows.
#include <fmt/core.h>

#include <alphaform/backends/engine/engine.hpp>
#include <cstdlib>
#include <string>

namespace alphaform {

template <class T>
engine<T>::engine(const workspace& g, const environment<T>& env, const kernels<T>& k, carried<T>* carry)
    : g_(g), env_(env), k_(k), shapes_(g, env), arena_(k), carry_(carry), shared_(g.size, false) {
  std::vector<bool> seen(g.size, false);
  for (node_index i = 0; i < g.size; ++i)
    for (const node_index argument : {g[i].a, g[i].b}) {
      if (argument == absent) continue;
      shared_[argument] = seen[argument];
      seen[argument] = true;
    }
}

template <class T>
tensor<T> engine<T>::state(const extents& size, T initial) {
  return carry_ != nullptr ? carry_->state(arena_, size, initial) : arena_.filled(size, initial);
}

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
  return value(i, everything());
}

template <class T>
tensor<T> engine<T>::value(node_index i, const window& w) {
  if (g_[i].is<terms::input>()) return w.of(env_.inputs.find(g_[i].id)->second);
  if (pointwise(i)) return block(i, w);
  auto found = kept_.find(i);
  if (found == kept_.end()) found = kept_.emplace(i, anchor(i)).first;
  return w.of(found->second);
}

namespace {
/// Sets a value aside until the end of a scope.
template <class V>
class aside final {
 public:
  aside(V& at, V now) : at_(at), before_(std::exchange(at, std::move(now))) {}
  ~aside() { at_ = std::move(before_); }
  aside(const aside&) = delete;
  aside& operator=(const aside&) = delete;

 private:
  V& at_;
  V before_;
};
}  // namespace

/// A pointwise stream; what occurs in it several times is evaluated once.
template <class T>
tensor<T> engine<T>::block(node_index i, const window& w) {
  if (!within_) {
    const aside<bool> on(within_, true);
    const aside<std::map<node_index, tensor<T>>> fresh(around_, {});
    return block(i, w);
  }
  const node& n = g_[i];
  if (!shared_[i] || n.a == absent) return computed(i, w);
  if (const auto found = around_.find(i); found != around_.end()) return found->second;
  const tensor<T> y = computed(i, w);
  around_[i] = y;
  return y;
}

template <class T>
tensor<T> engine<T>::computed(node_index i, const window& w) {
  const node& n = g_[i];
  if (n.is<terms::parameter>()) {
    // Parameters are read in place; kernels never write to an argument.
    const view<const T> v = stream_parameter(env_, n);
    const view<T> in_place{const_cast<T*>(v.data), v.size, v.stride};
    return w.of(tensor<T>{in_place, nullptr});
  }
  if (n.is<terms::number>())
    return arena_.filled(single, static_cast<T>(std::strtod(std::string(n.id).c_str(), nullptr)));
  if (n.is<terms::one>()) return arena_.filled(single, 1);
  if (n.is<terms::nothing>()) return arena_.filled(single, 0);
  if (n.is<terms::inverse_size>()) return arena_.filled(single, T(1) / static_cast<T>(shapes_.entries(n.a, n.from)));
  if (n.is<terms::held>()) return value(n.a, w);
  if (n.is<terms::applied>() && g_[n.a].is<terms::expand>()) return value(n.b, w);
  const extents size = w.of(shapes_.of(i));
  const tensor<T> a = value(n.is<terms::applied>() ? g_[n.a].a : n.a, w);
  tensor<T> y = arena_.make(size);
  if (n.is<terms::function>()) {
    if (as_inverse_row_sum(g_, i) != absent)
      k_.inverse(a, y);
    else
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
  // Its parts have windows of their own.
  const aside<bool> off(within_, false);
  const aside<std::map<node_index, tensor<T>>> fresh(around_, {});
  const node& n = g_[i];
  if (n.is<terms::peak>() || n.is<terms::prior_peak>()) return peaks(n);
  return in_channel_windows(n.a, value(n.b), at(shapes_.of(i), axis::chan), false);
}

/// Running maxima p_t = max(p_{t-1} + x_t, y_t), with one more token in front that stands for everything before.
template <class T>
tensor<T> engine<T>::peaks(const node& n) {
  const tensor<T> log_decay = value(n.a), key = value(n.b);
  extents size = alphaform::together(key.v.size, log_decay.v.size);
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

template <class T>
bool engine<T>::keeps_channels_apart(node_index p) const {
  const node& n = g_[p];
  if (n.is<terms::mix>()) return !(n.from | n.to | (is_matrix(g_, n) ? g_[n.a].to : no_axes)).touches(chan);
  if (n.is<terms::turn>()) return !n.to.touches(chan);
  if (n.is<terms::contract>()) return !n.from.touches(chan);
  if (n.is<terms::expand>()) return !n.to.touches(chan);
  if (one_of<terms::product, terms::sum, terms::paths>(n.term))
    return keeps_channels_apart(n.a) && keeps_channels_apart(n.b);
  if (one_of<terms::scan, terms::rownorm, terms::bounded_rownorm, terms::adjoint, terms::retimed>(n.term))
    return keeps_channels_apart(n.a);
  return true;
}

template <class T>
bool engine<T>::causal(node_index p) const {
  const node& n = g_[p];
  if (one_of<terms::reverse, terms::permute, terms::every_token, terms::over_tokens, terms::retimed>(n.term))
    return false;
  if (n.is<terms::adjoint>()) {
    const signature s = signature_of(g_, n.a);
    return s.known && !s.mixes_tokens;
  }
  if (one_of<terms::product, terms::sum, terms::paths>(n.term)) return causal(n.a) && causal(n.b);
  if (one_of<terms::scan, terms::rownorm, terms::bounded_rownorm>(n.term)) return causal(n.a);
  return true;
}

template <class T>
tensor<T> engine<T>::apply(node_index p, const tensor<T>& x) {
  return in_channel_windows(p, x, x.v.of(axis::chan), false);
}

template <class T>
tensor<T> engine<T>::adjoint(node_index p, const tensor<T>& g) {
  return in_channel_windows(p, g, g.v.of(axis::chan), true);
}

template <class T>
tensor<T> engine<T>::in_channel_windows(node_index p, const tensor<T>& x, std::size_t channels, bool transposed) {
  const auto run = [&](tensor<T> part, const window& w) {
    return transposed ? adjoint(p, std::move(part), w) : apply(p, std::move(part), w);
  };
  if (channels <= channel_block || !keeps_channels_apart(p)) return run(x, everything());
  tensor<T> y;
  for (std::size_t c = 0; c < channels; c += channel_block) {
    const window w{0, tokens(), c, std::min(c + channel_block, channels)};
    const tensor<T> part = run(x.slice(axis::chan, c, w.channel_end), w);
    extents size = part.v.size;
    at(size, axis::chan) = channels;
    if (c == 0) y = arena_.make(size);
    k_.copy(part, y.slice(axis::chan, c, w.channel_end));
  }
  return y;
}

template class engine<float>;
template class engine<double>;

}  // namespace alphaform
