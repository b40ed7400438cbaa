// Norms and channel mixers that models have around their token mixers, and forms in which weights are stored.
#pragma once
#include <alphaform/architectures/models/family.hpp>
#include <cmath>

namespace alphaform::models {

inline constexpr auto x = input<"x">;
inline constexpr auto rms_norm = norm<"weight", "epsilon">(x);
inline constexpr auto layer_norm = norm<"weight", "bias", "epsilon">(x);

/// Gated linear unit down(f(gate n) up n) of an RMS-normalised stream.
template <name Norm, name Gate, name GateBias, name Up, name UpBias, name Down, name DownBias, class Activation>
constexpr auto gated_unit(Activation f) {
  const auto n = norm<Norm, "epsilon">(x);
  return affine<Down, DownBias>(f(affine<Gate, GateBias>(n)) * affine<Up, UpBias>(n));
}
inline constexpr auto with_silu = [](const auto& s) { return silu(s); };
inline constexpr auto with_gelu = [](const auto& s) { return gelu(s); };

/// RWKV's channel mix sigma(W_r r) W_v relu(W_k k)^2 of a LayerNorm; `shifted` makes r and k of it.
template <class Receptance, class Key>
constexpr auto channel_mix(Receptance r, Key k) {
  const auto n = norm<"ln2.weight", "ln2.bias", "epsilon">(x);
  return sigmoid(linear<"receptance.weight">(r(n))) * linear<"value.weight">(square(relu(linear<"key.weight">(k(n)))));
}

// ---- settings

inline array zero(const facts&) { return scalar(0); }

// ---- stored forms

inline array transposed(array a, const facts&) {
  if (a.shape.size() != 2) return a;
  array t{{a.shape[1], a.shape[0]}, std::vector<double>(a.numbers.size())};
  for (std::size_t i = 0; i < a.shape[0]; ++i)
    for (std::size_t j = 0; j < a.shape[1]; ++j) t.numbers[j * a.shape[0] + i] = a.numbers[i * a.shape[1] + j];
  return t;
}
/// Each of several matrices, one after the other.
inline array each_transposed(array a, const facts& f) {
  if (a.shape.size() != 3) return a;
  const std::size_t size = a.shape[1] * a.shape[2];
  array all{{a.shape[0], a.shape[2], a.shape[1]}, {}};
  for (std::size_t k = 0; k < a.shape[0]; ++k) {
    const auto begin = a.numbers.begin() + static_cast<std::ptrdiff_t>(k * size);
    const array t = transposed({{a.shape[1], a.shape[2]}, {begin, begin + static_cast<std::ptrdiff_t>(size)}}, f);
    all.numbers.insert(all.numbers.end(), t.numbers.begin(), t.numbers.end());
  }
  return all;
}
inline array plus_one(array a, const facts&) {
  for (double& v : a.numbers) v += 1;
  return a;
}
/// Part K of N equal parts of the rows.
template <std::size_t K, std::size_t N>
array row_part(array a, const facts&) {
  if (a.shape.empty() || a.shape[0] % N != 0) throw user_error("a packed weight cannot be divided into equal parts");
  const std::size_t size = a.numbers.size() / N;
  a.shape[0] /= N;
  a.numbers = {a.numbers.begin() + static_cast<std::ptrdiff_t>(K * size),
               a.numbers.begin() + static_cast<std::ptrdiff_t>((K + 1) * size)};
  return a;
}
template <std::size_t K, std::size_t N>
array column_part(array a, const facts& f) {
  return transposed(row_part<K, N>(transposed(std::move(a), f), f), f);
}
/// Part K of N, if the tensor is packed.
template <std::size_t K, std::size_t N>
array packed(array a, const facts& f) {
  return !a.shape.empty() && a.shape[0] == N ? row_part<K, N>(std::move(a), f) : a;
}

// ---- rotary positions

/// f_j = theta^(-2j/dims) for the first dims/2 pairs of a head of d entries, 0 for the others, both halves alike.
inline array frequencies(std::size_t d, std::size_t dims, double theta) {
  if (d % 2 != 0 || dims % 2 != 0 || dims > d)
    throw user_error("rotary positions need an even number of entries a head, and not more of them than it has");
  array f{{d}, std::vector<double>(d, 0)};
  for (std::size_t j = 0; j < dims / 2; ++j)
    f.numbers[j] = f.numbers[j + d / 2] = std::pow(theta, -2.0 * static_cast<double>(j) / static_cast<double>(dims));
  return f;
}

}  // namespace alphaform::models
