#include <fmt/core.h>

#include <alphaform/backends/model/gradient.hpp>
#include <alphaform/backends/model/sum.hpp>
#include <limits>

namespace alphaform {

/// The derivative of an expression of "x" at x.
template <class T>
class at_x final {
 public:
  at_x(const bound_derivatives& f, environment<T> env, const tensor<T>& x, const kernels<T>& k)
      : derivative_(f, with_x(std::move(env), x), k) {}
  tensor<T> value() { return derivative_.output(); }
  tensor<T> backward(const tensor<T>& g) { return derivative_.backward("x", g); }
  std::size_t held_bytes() const { return derivative_.held_bytes(); }

 private:
  static environment<T> with_x(environment<T> env, const tensor<T>& x) {
    env.inputs["x"] = x;
    return env;
  }
  true_derivative<T> derivative_;
};

template <class T>
model_gradient<T>::model_gradient(const model<T>& m)
    : m_(m),
      last_(derivatives_of({m.last_->g, m.last_->root})),
      head_(derivatives_of({m.head_.g, m.head_.root})),
      most_bytes_(m.backend().has_own_memory ? std::numeric_limits<std::size_t>::max() : std::size_t{1} << 30) {
  for (const auto& kind : m.kinds_) kinds_.push_back(derivatives_of(*kind->of));
  if (m.norm_) norm_ = derivatives_of({m.norm_->g, m.norm_->root});
  if (m.logits_) logits_ = derivatives_of({m.logits_->g, m.logits_->root});
  for (const expression& e : m.first_) first_.push_back(derivatives_of({e.g, e.root}));
  for (const expression& e : m.feed_) feed_.push_back(derivatives_of({e.g, e.root}));
}

/// The parts of one layer, each with what it was evaluated on.
template <class T>
struct model_gradient<T>::block final {
  std::unique_ptr<at_x<T>> norm;
  std::unique_ptr<mixer_derivative<T>> mixer;
  std::vector<std::unique_ptr<at_x<T>>> feed;
  tensor<T> after;  ///< the stream that the next layer gets

  std::size_t bytes() const {
    std::size_t all = mixer->held_bytes() + (norm ? norm->held_bytes() : 0);
    for (const auto& f : feed) all += f->held_bytes();
    return all;
  }
};

template <class T>
bool model_gradient<T>::rescales(std::size_t layer) const {
  const std::size_t every = m_.binder_.rescale_every();
  return every > 0 && (layer + 1) % every == 0;
}

template <class T>
typename model_gradient<T>::block model_gradient<T>::block_on(std::size_t i, const tensor<T>& before,
                                                              const shared_streams<T>& shared) const {
  const kernels<T>& k = m_.backend_;
  const auto on = [&k](const bound_derivatives& f, const environment<T>& env, const tensor<T>& x) {
    return std::make_unique<at_x<T>>(f, env, x, k);
  };
  block b;
  if (norm_) b.norm = on(*norm_, m_.blocks_[i].norm, before);
  b.mixer = std::make_unique<mixer_derivative<T>>(mixer(i, b.norm ? b.norm->value() : before, shared));
  b.after = m_.family_.residual ? sum(before, b.mixer->output(), k) : b.mixer->output();
  for (std::size_t f = 0; f < feed_.size(); ++f) {
    b.feed.push_back(on(feed_[f], m_.blocks_[i].feed[f], b.after));
    b.after = sum(b.after, b.feed.back()->value(), k);
  }
  if (rescales(i)) k.times(b.after, half(), b.after);
  return b;
}

template <class T>
tensor<T> model_gradient<T>::half() const {
  return arena<T>(m_.backend_).filled(single, T(0.5));
}

/// The gradient with respect to the last layer's stream. @param g  on the logits of the tokens from `first` on
template <class T>
tensor<T> model_gradient<T>::through_head(const tensor<T>& h, const tensor<T>& g, std::size_t first) const {
  const kernels<T>& k = m_.backend_;
  const std::size_t tokens = h.v.of(axis::token);
  at_x<T> last(last_, m_.last_env_, m_.classifier_ ? m_.pooled(h, k) : h.slice(axis::token, first, tokens), k),
      head(head_, m_.head_env_, last.value(), k);
  const extents size = head.value().v.size;
  if (g.v.size != size)
    throw user_error(fmt::format("the gradient on the logits should be [{}, {}], but is [{}, {}]",
                                 at(size, axis::token), at(size, axis::chan), g.v.of(axis::token), g.v.of(axis::chan)));
  const tensor<T> of_head = logits_ ? at_x<T>(*logits_, m_.logits_env_, head.value(), k).backward(g) : g,
                  back = last.backward(head.backward(of_head)), all = arena<T>(k).filled(h.v.size, 0);
  if (!m_.classifier_)
    k.copy(back, all.slice(axis::token, first, tokens));
  else if (m_.pooling_.is == pooling::kind::mean)
    k.times(back, arena<T>(k).filled(single, T(1) / static_cast<T>(tokens)), all);
  else
    k.copy(back, m_.pooled(all, k));
  return all;
}

template <class T>
gradients<T> model_gradient<T>::backwards(const stored_text<T>& text, const tensor<T>& g, std::size_t first) const {
  for (std::size_t most = most_bytes_;;) {
    std::size_t held = 0;
    try {
      return backwards(text, g, first, most, held);
    } catch (const out_of_memory&) {
      if (held == 0) throw;
      most = held / 2;
    }
  }
}

/// @param held  bytes of layers that were kept, also where memory was not enough
template <class T>
gradients<T> model_gradient<T>::backwards(const stored_text<T>& text, const tensor<T>& g, std::size_t first,
                                          std::size_t most_bytes, std::size_t& held) const {
  const kernels<T>& k = m_.backend_;
  const std::size_t layers = m_.layers();

  // Forward: layers are kept as long as memory allows, and built again on their way back otherwise.
  std::vector<std::unique_ptr<at_x<T>>> before_layers;
  std::vector<tensor<T>> before(layers);
  std::vector<std::optional<block>> blocks(layers);
  shared_streams<T> shared, shared_back;  // what later layers read of the first one, and its gradient
  tensor<T> h = m_.embedded(text, k);
  for (std::size_t f = 0; f < first_.size(); ++f) {
    before_layers.push_back(std::make_unique<at_x<T>>(first_[f], m_.first_env_[f], h, k));
    h = before_layers.back()->value();
  }
  for (std::size_t i = 0; i < layers; ++i) {
    before[i] = h;
    block b = block_on(i, h, shared);
    if (i == 0)
      for (const auto& kind : m_.kinds_)
        for (const shared_input& s : kind->of->shared) shared[std::string(s.of_first)] = b.mixer->input(s.of_first);
    h = b.after;
    const std::size_t bytes = b.bytes();
    if (bytes > most_bytes - held) continue;
    held += bytes;
    blocks[i] = std::move(b);
  }

  // Backward.
  tensor<T> back = through_head(h, g, first);
  gradients<T> result;
  result.mixer_in.resize(layers);
  result.mixer_out.resize(layers);
  for (std::size_t i = layers; i-- > 0;) {
    block b = blocks[i] ? *std::exchange(blocks[i], std::nullopt) : block_on(i, before[i], shared);
    if (rescales(i)) k.times(back, half(), back);
    for (std::size_t f = b.feed.size(); f-- > 0;) back = sum(back, b.feed[f]->backward(back), k);
    result.mixer_out[i] = back;
    result.mixer_in[i] = b.mixer->backward(back);
    for (const shared_input& s : m_.mixer_architecture(i).shared) {
      const tensor<T> other = b.mixer->backward_to(s.input, back);
      tensor<T>& all = shared_back[std::string(s.of_first)];
      all = all ? sum(all, other, k) : other;
    }
    if (i == 0)
      for (const auto& [input, other] : shared_back)
        result.mixer_in[0] = sum(result.mixer_in[0], b.mixer->backward_from(input, other), k);
    const tensor<T> through = b.norm ? b.norm->backward(result.mixer_in[i]) : result.mixer_in[i];
    back = m_.family_.residual ? sum(back, through, k) : through;
    before[i] = {};
  }
  for (std::size_t f = before_layers.size(); f-- > 0;) back = before_layers[f]->backward(back);
  result.embedded = back;
  return result;
}

template <class T>
gradients<T> model_gradient<T>::of_logits(std::span<const std::int64_t> ids, const tensor<T>& g) const {
  const entered<T> on(m_.backend_);
  return backwards(m_.text_of(ids), g, 0);
}

template <class T>
mixer_derivative<T> model_gradient<T>::mixer(std::size_t layer, const tensor<T>& u,
                                             const shared_streams<T>& shared) const {
  m_.needs_layer(layer);
  environment<T> env = m_.blocks_[layer].mixer;
  for (const shared_input& s : m_.mixer_architecture(layer).shared)
    if (const auto found = shared.find(s.of_first); found != shared.end())
      env.inputs[std::string(s.input)] = found->second;
  return mixer_derivative<T>(kinds_[m_.blocks_[layer].kind], env, u, m_.backend_);
}

template <class T>
gradients<T> model_gradient<T>::of_last_logit(std::span<const std::int64_t> ids, std::size_t output) const {
  return of_last_logit(m_.text_of(ids), output);
}
template <class T>
gradients<T> model_gradient<T>::of_last_logit(const stored_text<T>& text, std::size_t output) const {
  const std::size_t outputs = m_.classifier_ ? m_.labels().size() : m_.vocabulary();
  if (output >= outputs)
    throw user_error(fmt::format("output {} was asked for, but the model has outputs 0 to {}", output, outputs - 1));
  const entered<T> on(m_.backend_);
  const tensor<T> g = arena<T>(m_.backend_).filled(stream_extents(1, outputs), 0);
  m_.backend_.fill(1, g.slice(axis::chan, output, output + 1));
  return backwards(text, g, text.tokens() - 1);
}

template class model_gradient<float>;
template class model_gradient<double>;

}  // namespace alphaform
