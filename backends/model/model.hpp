// A loaded model: runs it on token ids and gives each layer's implicit attention on what that layer saw.
#pragma once
#include <alphaform/backends/attention.hpp>
#include <alphaform/backends/model/binding.hpp>

namespace alphaform {

/// How much of a model a run takes.
struct extent_of_run final {
  enum class logits : std::uint8_t { every_token, last_token, none };
  logits of = logits::every_token;
  std::size_t layers = static_cast<std::size_t>(-1);  ///< the first so many; the head only after all of them
};

/// What one run of a model leaves behind.
template <class T>
struct forward_pass final {
  tensor<T> logits;                  ///< [T, vocabulary]; of a classifier [1, labels], read at the last token
  std::vector<tensor<T>> mixer_in;   ///< one a layer, [T, D]: what its mixer got, after the norm
  std::vector<tensor<T>> mixer_out;  ///< [T, D]: what its mixer returned
};

template <class T>
class model_gradient;

template <class T>
class model final {
 public:
  /// Binds every parameter and checks every shape before anything runs.
  /// @throws user_error when the checkpoint is of no known family, incomplete or ill-shaped
  model(const checkpoint&, const kernels<T>&);
  model(const model&) = delete;
  model& operator=(const model&) = delete;

  std::size_t layers() const { return binder_.blocks(); }
  std::size_t vocabulary() const { return vocabulary_; }
  std::size_t width() const { return width_; }
  const family& of() const { return family_; }
  const architecture& mixer_architecture() const { return architecture_; }
  /// The labels of a classifier, by index; empty for a language model.
  const std::vector<std::string>& labels() const { return labels_; }
  const kernels<T>& backend() const { return backend_; }

  /// @param ids [T], each below vocabulary(); @throws user_error for an empty text or an id outside the vocabulary
  forward_pass<T> run(std::span<const std::int64_t> ids, const extent_of_run& = {}) const;
  /// The same for tokens that continue those of earlier calls with the same state (a fresh one to begin with).
  forward_pass<T> run(std::span<const std::int64_t> ids, decoding_state<T>& state) const;
  /// The mixer of a layer on its input u [T, D].
  tensor<T> mixer(std::size_t layer, const tensor<T>& u) const;
  /// The implicit attention of a layer on its mixer's input u [T, D].
  implicit_attention<T> attention(std::size_t layer, const tensor<T>& u) const;
  /// The same with another formula, which must outlive the result.
  implicit_attention<T> attention(std::size_t layer, const tensor<T>& u, const bound_formula&) const;
  /// The parameters of a layer's mixer.
  const environment<T>& mixer_parameters(std::size_t layer) const;
  /// A stream [tokens, width] from numbers in row-major order.
  tensor<T> stream(std::span<const float> numbers, std::size_t tokens) const;

 private:
  friend class model_gradient<T>;
  struct block {
    environment<T> norm, mixer;
    std::vector<environment<T>> feed;
  };
  forward_pass<T> run(std::span<const std::int64_t> ids, const extent_of_run&, const kernels<T>&,
                      decoding_state<T>*) const;
  environment<T> attention_inputs(std::size_t layer, const tensor<T>& u, const kernels<T>&, decoding_state<T>*) const;
  tensor<T> mixed(std::size_t layer, const tensor<T>& u, const kernels<T>&, decoding_state<T>*) const;
  tensor<T> embedded(std::span<const std::int64_t> ids, const kernels<T>&) const;
  void needs_layer(std::size_t) const;
  void needs_ids(std::span<const std::int64_t>) const;

  const kernels<T>& backend_;
  const family& family_;
  const architecture& architecture_;
  binder<T> binder_;
  bound_formula formula_;
  expression norm_, output_, last_, head_;
  std::vector<expression> first_, feed_, inputs_;
  std::vector<environment<T>> first_env_;
  environment<T> last_env_, head_env_;
  std::vector<block> blocks_;
  parameter<T> embeddings_;
  std::vector<std::string> labels_;
  std::size_t vocabulary_ = 0, width_ = 0;
  bool classifier_ = false;
};

}  // namespace alphaform
