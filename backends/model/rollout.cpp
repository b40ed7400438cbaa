#include <fmt/core.h>

#include <alphaform/backends/model/rollout.hpp>
#include <cmath>
#include <limits>

namespace alphaform {

namespace {

/// The streams before the layers, from the last to the first: some are held, those between two of them computed again
/// when they are asked for, and held as far as there is place.
template <class T>
class streams_backward final {
 public:
  streams_backward(const model<T>& m, std::span<const std::int64_t> ids, std::size_t most_bytes)
      : m_(m), places_(std::max<std::size_t>(1, most_bytes / (ids.size() * m.width() * sizeof(T)))) {
    hold(0, m.before_layers(ids));
    if (m.layers() == 1) shared_ = m.shared(m.mixer_input(0, held_.back().h));
  }
  /// To be asked for layers in descending order.
  tensor<T> before(std::size_t layer) {
    while (held_.back().layer < layer) {
      const auto [first, h] = held_.back();
      const std::size_t free = places_ > held_.size() ? places_ - held_.size() : 0, left = layer - first;
      if (free == 0 || left == 1) return after(first, layer, h);
      const std::size_t next = first + (left + free) / (free + 1);
      hold(next, after(first, next, h));
    }
    const tensor<T> h = held_.back().h;
    held_.pop_back();
    return h;
  }
  const shared_streams<T>& shared() const { return shared_; }
  std::size_t most_held() const { return most_held_; }

 private:
  struct stream_before final {
    std::size_t layer;
    tensor<T> h;
  };
  tensor<T> after(std::size_t first, std::size_t end, tensor<T> h) {
    for (std::size_t i = first; i < end; ++i) h = m_.after_layer(i, h, shared_);
    return h;
  }
  void hold(std::size_t layer, const tensor<T>& h) {
    held_.push_back({layer, h});
    most_held_ = std::max(most_held_, held_.size());
  }

  const model<T>& m_;
  std::size_t places_, most_held_ = 0;
  std::vector<stream_before> held_;
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
  const arena<T> memory(m.backend());
  const extents line = stream_extents(tokens, 1);
  const tensor<T> ones = memory.filled(line, 1);
  std::vector<T> v(tokens, T(0));
  v[token] = 1;
  for (std::size_t layer = m.layers(); layer-- > 0;) {
    implicit_attention<T> a = m.attention(layer, m.mixer_input(layer, streams.before(layer)), streams.shared());
    const std::vector<T> sums = numbers_of(a.mean_apply(ones));
    for (std::size_t t = 0; t < tokens; ++t) {
      if (v[t] == 0) continue;
      const double sum = 1 + static_cast<double>(sums[t]);
      if (!std::isfinite(sum) || sum == 0)
        throw user_error(fmt::format(
            "the signed mean map of layer {} cannot be normalised: 1 plus the sum of row {} is {}", layer, t, sum));
      r.least_row_sum = std::min(r.least_row_sum, std::abs(sum));
      v[t] = static_cast<T>(static_cast<double>(v[t]) / sum);
    }
    const tensor<T> from_here = stored(v, line, m.backend());
    m.backend().plus(from_here, a.mean_adjoint(from_here), from_here);
    v = numbers_of(from_here);
  }
  r.kept = streams.most_held();
  r.scores = std::move(v);
  return r;
}

template rolled_out<float> rollout_row(const model<float>&, std::span<const std::int64_t>, const rollout_options&);
template rolled_out<double> rollout_row(const model<double>&, std::span<const std::int64_t>, const rollout_options&);

}  // namespace alphaform
