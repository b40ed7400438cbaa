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

 private:
  struct stream_before final {
    std::size_t layer;
    tensor<T> h;
  };
  tensor<T> after(std::size_t first, std::size_t end, tensor<T> h) {
    for (std::size_t i = first; i < end; ++i) h = m_.after_layer(i, h, shared_);
    return h;
  }
  void hold(std::size_t layer, const tensor<T>& h) { held_.push_back({layer, h}); }

  const model<T>& m_;
  std::size_t places_;
  std::vector<stream_before> held_;
  shared_streams<T> shared_;
};

/// One row on its way from the last layer to the first.
template <class T>
struct row_of_products final {
  std::vector<T> v;
  double least_row_sum = std::numeric_limits<double>::infinity();

  /// v <- v / (1 + sums) for the tokens from `begin` on.
  void divide(std::size_t layer, std::size_t begin, std::span<const T> sums) {
    for (std::size_t i = 0; i < sums.size(); ++i) {
      T& entry = v[begin + i];
      if (entry == 0) continue;
      const double sum = 1 + static_cast<double>(sums[i]);
      if (!std::isfinite(sum) || sum == 0)
        throw user_error(
            fmt::format("the signed mean map of layer {} cannot be normalised: 1 plus the sum of row {} is {}", layer,
                        begin + i, sum));
      least_row_sum = std::min(least_row_sum, std::abs(sum));
      entry = static_cast<T>(static_cast<double>(entry) / sum);
    }
  }
  /// v <- v + A' v for a stretch of tokens. @param states  of A', of the tokens behind it
  void step_back(implicit_attention<T>& a, const kernels<T>& k, std::size_t begin, carried_lanes<T>* states = nullptr) {
    const std::span<T> part(v.data() + begin, a.tokens());
    const tensor<T> w = stored(std::vector<T>(part.begin(), part.end()), stream_extents(a.tokens(), 1), k);
    k.plus(w, a.mean_adjoint(w, states), w);
    const std::vector<T> there = numbers_of(w);
    std::copy(there.begin(), there.end(), part.begin());
  }
};

template <class T>
std::vector<T> row_sums(implicit_attention<T>& a, const kernels<T>& k, carried_lanes<T>* states = nullptr) {
  return numbers_of(a.mean_apply(arena<T>(k).filled(stream_extents(a.tokens(), 1), 1), states));
}

template <class T>
void layer_by_layer(const model<T>& m, std::span<const std::int64_t> ids, std::size_t stream_bytes,
                    row_of_products<T>& row) {
  streams_backward<T> streams(m, ids, stream_bytes);
  for (std::size_t layer = m.layers(); layer-- > 0;) {
    implicit_attention<T> a = m.attention(layer, m.mixer_input(layer, streams.before(layer)), streams.shared());
    row.divide(layer, 0, row_sums(a, m.backend()));
    row.step_back(a, m.backend(), 0);
  }
}

/// First all stretches forward, for row sums and the states at their beginnings; then from the last one to the first,
/// each through all layers.
template <class T>
void stretch_by_stretch(const model<T>& m, std::span<const std::int64_t> ids, std::size_t tokens_at_once,
                        row_of_products<T>& row) {
  const kernels<T>& k = m.backend();
  const arena<T> memory(k);
  const std::size_t stretches = (ids.size() + tokens_at_once - 1) / tokens_at_once;
  const auto ids_of = [&](std::size_t s) {
    return ids.subspan(s * tokens_at_once, std::min(tokens_at_once, ids.size() - s * tokens_at_once));
  };
  std::vector<std::vector<T>> sums(m.layers());
  std::vector<std::unique_ptr<implicit_attention<T>>> layers(m.layers());  // of one stretch
  std::vector<stretch_state<T>> before;
  {
    stretch_state<T> state;
    std::vector<carried_lanes<T>> forward(m.layers());
    for (std::size_t s = 0; s < stretches; ++s) {
      before.push_back(state.copied(memory, k));
      m.run_stretch(ids_of(s), state, [&](std::size_t layer, std::unique_ptr<implicit_attention<T>> a) {
        const std::vector<T> more = row_sums(*a, k, &forward[layer]);
        sums[layer].insert(sums[layer].end(), more.begin(), more.end());
        if (s + 1 == stretches) layers[layer] = std::move(a);
      });
    }
  }
  std::vector<carried_lanes<T>> backward(m.layers());
  for (std::size_t s = stretches; s-- > 0; before.pop_back()) {
    if (s + 1 < stretches)
      m.run_stretch(ids_of(s), before.back(), [&layers](std::size_t layer, std::unique_ptr<implicit_attention<T>> a) {
        layers[layer] = std::move(a);
      });
    const std::size_t begin = s * tokens_at_once, count = ids_of(s).size();
    for (std::size_t layer = m.layers(); layer-- > 0; layers[layer].reset()) {
      row.divide(layer, begin, std::span(sums[layer]).subspan(begin, count));
      row.step_back(*layers[layer], k, begin, &backward[layer]);
    }
  }
}

}  // namespace

template <class T>
rolled_out<T> rollout_row(const model<T>& m, std::span<const std::int64_t> ids, const rollout_options& o) {
  constexpr std::size_t fewest = 64, usual = 1024, usual_on_device = 16384;
  if (ids.empty()) throw user_error("the text is empty: a rollout needs at least one token");
  const std::size_t tokens = ids.size(), token = o.token == rollout_options{}.token ? tokens - 1 : o.token;
  if (token >= tokens)
    throw user_error(fmt::format("token {} was asked for, but the text has tokens 0 to {}", token, tokens - 1));
  const entered<T> on(m.backend());
  const bool stretches = m.comes_in_stretches();
  const std::size_t quick = m.backend().has_own_memory ? usual_on_device : usual,
                    stream = tokens * m.width() * sizeof(T);
  std::size_t at_once = std::min(tokens, o.stretch != 0 ? o.stretch : quick),
              bytes = std::min(o.stream_bytes, m.layers() * stream);
  for (;;) {
    row_of_products<T> row{std::vector<T>(tokens, T(0))};
    row.v[token] = 1;
    try {
      if (stretches)  // no later token has a part in the row
        stretch_by_stretch(m, ids.first(token + 1), at_once, row);
      else
        layer_by_layer(m, ids, bytes, row);
      return {std::move(row.v), row.least_row_sum};
    } catch (const out_of_memory&) {
      std::size_t& most = stretches ? at_once : bytes;
      if (most <= (stretches ? fewest : stream)) throw;
      most /= 2;
    }
  }
}

template rolled_out<float> rollout_row(const model<float>&, std::span<const std::int64_t>, const rollout_options&);
template rolled_out<double> rollout_row(const model<double>&, std::span<const std::int64_t>, const rollout_options&);

}  // namespace alphaform
