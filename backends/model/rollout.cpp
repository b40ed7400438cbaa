#include <fmt/core.h>

#include <alphaform/backends/model/rollout.hpp>
#include <cmath>
#include <limits>

namespace alphaform {

namespace {

/// The streams before the layers, from the last to the first: some are kept, those between two of them computed again.
template <class T>
class streams_backward final {
 public:
  streams_backward(const model<T>& m, std::span<const std::int64_t> ids, std::size_t most_bytes) : m_(m) {
    const std::size_t layers = m.layers(), bytes = ids.size() * m.width() * sizeof(T);
    stride_ = 1;
    for (std::size_t s = 1; s <= layers && held(1) * bytes > most_bytes; ++s)
      if (held(s) < held(stride_)) stride_ = s;
    for (std::size_t s = stride_; s > 0; --s)  // as few repetitions as the bytes allow
      if (held(s) * bytes <= most_bytes) stride_ = s;
    tensor<T> h = m.before_layers(ids);
    for (std::size_t i = 0; i < layers; ++i) {
      if (i % stride_ == 0) kept_.push_back(h);
      if (i + 1 < layers) h = m.after_layer(i, h, shared_).h;
      if (i == 0 && layers == 1) shared_ = m.shared(m.mixer_input(0, h));
    }
  }
  /// To be asked for layers in descending order.
  tensor<T> before(std::size_t layer) {
    const std::size_t first = layer / stride_ * stride_;
    if (between_.empty()) {
      between_.push_back(kept_.back());
      kept_.pop_back();
      for (std::size_t i = first; i < layer; ++i) between_.push_back(m_.after_layer(i, between_.back(), shared_).h);
    }
    const tensor<T> h = between_.back();
    between_.pop_back();
    return h;
  }
  const shared_streams<T>& shared() const { return shared_; }
  std::size_t held() const { return held(stride_); }

 private:
  std::size_t held(std::size_t stride) const { return (m_.layers() + stride - 1) / stride + stride - 1; }

  const model<T>& m_;
  std::size_t stride_ = 1;
  std::vector<tensor<T>> kept_, between_;
  shared_streams<T> shared_;
};

}  // namespace

template <class T>
rolled_out<T> rollout_row(const model<T>& m, std::span<const std::int64_t> ids, const rollout_options& o) {
  if (ids.empty()) throw user_error("the text is empty: a rollout needs at least one token");
  const std::size_t tokens = ids.size(), token = o.token == rollout_options{}.token ? tokens - 1 : o.token;
  if (token >= tokens)
    throw user_error(fmt::format("token {} was asked for, but the text has tokens 0 to {}", token, tokens - 1));
  const entered<T> on(m.backend());
  streams_backward<T> streams(m, ids, o.stream_bytes);
  rolled_out<T> r;
  r.least_row_sum = std::numeric_limits<double>::infinity();
  r.kept = streams.held();
  const arena<T> memory(m.backend());
  const tensor<T> ones = memory.filled(stream_extents(tokens, 1), 1), v = memory.filled(stream_extents(tokens, 1), 0);
  v.v.data[token] = 1;
  for (std::size_t layer = m.layers(); layer-- > 0;) {
    const tensor<T> u = m.mixer_input(layer, streams.before(layer));
    implicit_attention<T> a = m.attention(layer, u, streams.shared());
    const tensor<T> sums = a.mean_apply(ones);
    for (std::size_t t = 0; t < tokens; ++t) {
      if (v.v.data[t] == 0) continue;
      const double sum = 1 + static_cast<double>(sums.v.data[t]);
      if (!std::isfinite(sum) || sum == 0)
        throw user_error(fmt::format(
            "the signed mean map of layer {} cannot be normalised: 1 plus the sum of row {} is {}", layer, t, sum));
      r.least_row_sum = std::min(r.least_row_sum, std::abs(sum));
      v.v.data[t] = static_cast<T>(static_cast<double>(v.v.data[t]) / sum);
    }
    const tensor<T> back = a.mean_adjoint(v);
    m.backend().plus(v, back, v);
  }
  r.scores.assign(v.v.data, v.v.data + tokens);
  return r;
}

template rolled_out<float> rollout_row(const model<float>&, std::span<const std::int64_t>, const rollout_options&);
template rolled_out<double> rollout_row(const model<double>&, std::span<const std::int64_t>, const rollout_options&);

}  // namespace alphaform
