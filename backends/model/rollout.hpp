// Attention rollout over the layers of a model without a map: one row of the product of (1 + A_l), each row divided by
// its sum, with A_l the signed mean over channels of the implicit attention.
#pragma once
#include <alphaform/backends/model/model.hpp>

namespace alphaform {

struct rollout_options final {
  std::size_t token = static_cast<std::size_t>(-1);  ///< whose row; the last one unless it is given
  /// Tokens at once, where every layer hands states on from stretch to stretch; 0 for as many as are quick. Where
  /// memory is short they become fewer.
  std::size_t stretch = 0;
  /// Where a layer needs the whole text: bytes that the streams between layers may take, at least one of them; those
  /// that have no place are computed again.
  std::size_t stream_bytes = static_cast<std::size_t>(-1);
};

template <class T>
struct rolled_out final {
  std::vector<T> scores;     ///< [T], they add up to 1
  double least_row_sum = 0;  ///< the smallest |1 + row sum of A_l| that rows were divided by
};

/// Row `token` of P_L ... P_1 with P_l = D_l^-1 (1 + A_l), D_l its row sums (Abnar and Zuidema 2020, on signed means):
/// from the last layer to the first v <- w + A_l' w with w = v / D_l. Each layer takes one scan of ones and one
/// transposed scan: time is linear in T. Where layers hand states on, the text is run once for the row sums, then from
/// its end stretch by stretch through all layers: memory is that of one stretch and of the states before each.
/// @throws user_error where a row sum is 0 or not finite, or a layer mixes channels
template <class T>
rolled_out<T> rollout_row(const model<T>&, std::span<const std::int64_t> ids, const rollout_options& = {});

}  // namespace alphaform
