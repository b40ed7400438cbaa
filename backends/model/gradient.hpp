// Gradients of a whole model, backwards through head, norms, feeds and mixers; every part is differentiated by the same
// rules as a mixer's attention.
#pragma once
#include <alphaform/backends/mixer_derivative.hpp>
#include <alphaform/backends/model/model.hpp>

namespace alphaform {

/// What a number that depends on the logits changes with.
template <class T>
struct gradients final {
  std::vector<tensor<T>> mixer_in;   ///< one a layer, [T, D]: with respect to what its mixer got
  std::vector<tensor<T>> mixer_out;  ///< one a layer, [T, D]: with respect to what its mixer returned
  tensor<T> embedded;                ///< [T, D]: with respect to the embeddings of the tokens
};

template <class T>
class model_gradient final {
 public:
  /// @param m  must outlive this; @throws user_error naming a term that has no derivative
  explicit model_gradient(const model<T>& m);
  model_gradient(const model<T>&&) = delete;

  /// The gradient of <g, logits>. @param g  [T, vocabulary]; of a classifier [1, labels]
  gradients<T> of_logits(std::span<const std::int64_t> ids, const tensor<T>& g) const;
  /// The gradient of one logit at the last token.
  gradients<T> of_last_logit(std::span<const std::int64_t> ids, std::size_t output) const;
  gradients<T> of_last_logit(const stored_text<T>&, std::size_t output) const;
  /// Bytes that layers may take between the way forward and the way back; those that do not fit are built again, from
  /// the streams between layers, which are always kept. Where memory is short they are fewer. 1 GiB unless it is
  /// said, on a device all that there is. The same gradients, bit for bit.
  void use_at_most(std::size_t bytes) { most_bytes_ = bytes; }
  /// The derivative of one layer's mixer at its input u [T, D].
  mixer_derivative<T> mixer(std::size_t layer, const tensor<T>& u, const shared_streams<T>& = {}) const;

 private:
  struct block;
  block block_on(std::size_t layer, const tensor<T>& before, const shared_streams<T>&) const;
  bool rescales(std::size_t layer) const;
  tensor<T> half() const;
  tensor<T> through_head(const tensor<T>& h, const tensor<T>& g, std::size_t first) const;
  gradients<T> backwards(const stored_text<T>&, const tensor<T>& g, std::size_t first) const;
  gradients<T> backwards(const stored_text<T>&, const tensor<T>& g, std::size_t first, std::size_t most_bytes,
                         std::size_t& held) const;

  const model<T>& m_;
  std::vector<bound_derivatives> first_, feed_;
  std::vector<mixer_formula> kinds_;  ///< of the model's mixers
  std::optional<bound_derivatives> norm_, logits_;
  bound_derivatives last_, head_;
  std::size_t most_bytes_;
};

}  // namespace alphaform
