// Linear attention: S_t = S_{t-1} + phi(k_t) v_t', o_t = S_t' phi(q_t) / sqrt(d), without a denominator; each head is
// divided by its root mean square. Katharopoulos et al. 2020, Eq. 16 to 20; the feature maps phi are those of
// flash-linear-attention, (W1 x + b1) (W2 x + b2) unless another is asked for.
#pragma once
#include <alphaform/architectures/architecture.hpp>

namespace alphaform::architectures {

enum class feature_map : std::uint8_t { elementwise_product, t2r, elu, relu, identity };

/// phi(s), with its learnt matrices and biases.
template <feature_map Map, name First, name FirstBias, name Second, name SecondBias, axes A>
constexpr auto mapped(const stream<A>& s) {
  constexpr axes to = (A - rank) | state;
  const auto along = [&]<name W, name B>() { return mix<W, state, rank> * s + widen<to>(param<B, state>); };
  if constexpr (Map == feature_map::elementwise_product)
    return along.template operator()<First, FirstBias>() * along.template operator()<Second, SecondBias>();
  else if constexpr (Map == feature_map::t2r)
    return relu(along.template operator()<First, FirstBias>());
  else if constexpr (Map == feature_map::elu)
    return relu(s) + exp(-relu(-s));
  else if constexpr (Map == feature_map::relu)
    return relu(s);
  else
    return s;
}

template <feature_map Map = feature_map::elementwise_product>
struct linear_attention_with final {
  static constexpr heading about{"linear_attention", "Linear attention", "Katharopoulos et al. 2020, Eq. 16-20",
                                 "A recurrence per head with a matrix as state that forgets nothing."};
  static constexpr axes wide = group | head | chan, queries = group | head | rank, keys = group | rank;
  /// Learnt maps lead from one axis to another; the others stay on theirs.
  static constexpr bool learns = Map == feature_map::elementwise_product || Map == feature_map::t2r;
  template <axes A>
  static constexpr axes on = learns ? A : (A - rank) | state;
  static constexpr auto u = input<"u">;
  static constexpr projection inputs[] = {
      {"x", (expand<head> * affine<"v_proj.weight", "v_proj.bias", group | chan>(u)).e},
      {"q", affine<"q_proj.weight", "q_proj.bias", on<queries>>(u).e},
      {"k", affine<"k_proj.weight", "k_proj.bias", on<keys>>(u).e}};
  static constexpr auto core = [] {
    auto q = mapped<Map, "feature_map_q.layer1.weight", "feature_map_q.layer1.bias", "feature_map_q.layer2.weight",
                    "feature_map_q.layer2.bias">(input<"q", on<queries>>);
    auto k = mapped<Map, "feature_map_k.layer1.weight", "feature_map_k.layer1.bias", "feature_map_k.layer2.weight",
                    "feature_map_k.layer2.bias">(input<"k", on<keys>>);
    return unrolled(decay(number<"1">), write(k), read(scaled(q)));
  }();
  static constexpr auto attention = norm_over<"norm.weight", "eps">(core * input<"x", wide>);
  static constexpr auto output = affine<"o_proj.weight", "o_proj.bias">(input<"y">);
};
using linear_attention = linear_attention_with<>;

}  // namespace alphaform::architectures
