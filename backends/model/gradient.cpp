#include <fmt/core.h>

#include <alphaform/backends/model/gradient.hpp>

namespace alphaform {

namespace {

/// The derivative of an expression of "x" at x.
template <class T>
class at_x final {
 public:
  at_x(const bound_derivatives& f, environment<T> env, const tensor<T>& x, const kernels<T>& k)
      : derivative_(f, with_x(std::move(env), x), k) {}
  tensor<T> value() { return derivative_.output(); }
  tensor<T> backward(const tensor<T>& g) { return derivative_.backward("x", g); }

 private:
  static environment<T> with_x(environment<T> env, const tensor<T>& x) {
    env.inputs["x"] = x;
    return env;
  }
  true_derivative<T> derivative_;
};

template <class T>
tensor<T> sum(const tensor<T>& a, const tensor<T>& b, const kernels<T>& k) {
  const tensor<T> y = arena<T>(k).make(a.v.size);
  k.plus(a, b, y);
  return y;
}

}  // namespace

template <class T>
model_gradient<T>::model_gradient(const model<T>& m)
    : m_(m), last_(derivatives_of({m.last_->g, m.last_->root})), head_(derivatives_of({m.head_.g, m.head_.root})) {
  for (const auto& kind : m.kinds_) kinds_.push_back(derivatives_of(*kind->of));
  if (m.norm_) norm_ = derivatives_of({m.norm_->g, m.norm_->root});
  if (m.logits_) logits_ = derivatives_of({m.logits_->g, m.logits_->root});
  for (const expression& e : m.first_) first_.push_back(derivatives_of({e.g, e.root}));
  for (const expression& e : m.feed_) feed_.push_back(derivatives_of({e.g, e.root}));
}

template <class T>
gradients<T> model_gradient<T>::of_logits(std::span<const std::int64_t> ids, const tensor<T>& g) const {
  m_.needs_ids(ids);
  const kernels<T>& k = m_.backend_;
  const entered<T> on(k);
  const std::size_t layers = m_.layers();
  const tensor<T> half = arena<T>(k).filled(single, T(0.5));
  const auto rescales = [&](std::size_t i) {
    const std::size_t every = m_.binder_.rescale_every();
    return every > 0 && (i + 1) % every == 0;
  };

  // Forward: every part keeps what it was evaluated on.
  using piece = std::unique_ptr<at_x<T>>;
  const auto make = [&](const bound_derivatives& f, const environment<T>& env, const tensor<T>& x) {
    return std::make_unique<at_x<T>>(f, env, x, k);
  };
  struct block final {
    piece norm;
    std::unique_ptr<mixer_derivative<T>> mixer;
    std::vector<piece> feed;
  };
  std::vector<piece> first;
  std::vector<block> blocks(layers);
  shared_streams<T> shared, shared_back;  // what later layers read of the first one, and its gradient
  tensor<T> h = m_.embedded(ids, k);
  for (std::size_t f = 0; f < first_.size(); ++f) {
    first.push_back(make(first_[f], m_.first_env_[f], h));
    h = first.back()->value();
  }
  for (std::size_t i = 0; i < layers; ++i) {
    block& b = blocks[i];
    if (norm_) b.norm = make(*norm_, m_.blocks_[i].norm, h);
    b.mixer = std::make_unique<mixer_derivative<T>>(mixer(i, b.norm ? b.norm->value() : h, shared));
    if (i == 0)
      for (const auto& kind : m_.kinds_)
        for (const shared_input& s : kind->of->shared) shared[std::string(s.of_first)] = b.mixer->input(s.of_first);
    h = m_.family_.residual ? sum(h, b.mixer->output(), k) : b.mixer->output();
    for (std::size_t f = 0; f < feed_.size(); ++f) {
      b.feed.push_back(make(feed_[f], m_.blocks_[i].feed[f], h));
      h = sum(h, b.feed.back()->value(), k);
    }
    if (rescales(i)) k.times(h, half, h);
  }
  const tensor<T> pooled = m_.classifier_ ? m_.pooled(h, k) : h;
  const piece end = make(last_, m_.last_env_, pooled), head = make(head_, m_.head_env_, end->value());
  const piece shown = logits_ ? make(*logits_, m_.logits_env_, head->value()) : nullptr;
  if (const extents size = head->value().v.size; g.v.size != size)
    throw user_error(fmt::format("the gradient on the logits should be [{}, {}], but is [{}, {}]",
                                 at(size, axis::token), at(size, axis::chan), g.v.of(axis::token), g.v.of(axis::chan)));

  // Backward.
  tensor<T> back = end->backward(head->backward(shown ? shown->backward(g) : g));
  if (m_.classifier_ && ids.size() > 1) {
    const tensor<T> all = arena<T>(k).filled(stream_extents(ids.size(), m_.width()), 0);
    if (m_.pooling_.is == pooling::kind::mean)
      k.times(back, arena<T>(k).filled(single, T(1) / static_cast<T>(ids.size())), all);
    else
      k.copy(back, m_.pooled(all, k));
    back = all;
  }
  gradients<T> result;
  result.mixer_in.resize(layers);
  result.mixer_out.resize(layers);
  for (std::size_t i = layers; i-- > 0;) {
    block& b = blocks[i];
    if (rescales(i)) k.times(back, half, back);
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
    b = {};  // what was kept for this layer
  }
  for (std::size_t f = first.size(); f-- > 0;) back = first[f]->backward(back);
  result.embedded = back;
  return result;
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
  m_.needs_ids(ids);
  const std::size_t outputs = m_.classifier_ ? m_.labels().size() : m_.vocabulary();
  if (output >= outputs)
    throw user_error(fmt::format("output {} was asked for, but the model has outputs 0 to {}", output, outputs - 1));
  const std::size_t rows = m_.classifier_ ? 1 : ids.size();
  const tensor<T> g = arena<T>(m_.backend_).filled(stream_extents(rows, outputs), 0);
  m_.backend_.fill(1, g.slice(axis::token, rows - 1, rows).slice(axis::chan, output, output + 1));
  return of_logits(ids, g);
}

template class model_gradient<float>;
template class model_gradient<double>;

}  // namespace alphaform
