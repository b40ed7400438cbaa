// A loaded model: runs it on token ids, or on an image's values, and gives each layer's implicit attention on what that
// layer saw.
#pragma once
#include <alphaform/backends/attention.hpp>
#include <alphaform/backends/model/binding.hpp>
#include <functional>

namespace alphaform {

/// How much of a model a run takes.
struct extent_of_run final {
  enum class logits : std::uint8_t { every_token, last_token, none };
  logits of = logits::every_token;
  std::size_t layers = static_cast<std::size_t>(-1);  ///< the first so many; the head only after all of them
};

/// Streams of the first layer that the mixers of later ones read too, by their names in the first.
template <class T>
using shared_streams = std::map<std::string, tensor<T>, std::less<>>;

/// What one run of a model leaves behind.
template <class T>
struct forward_pass final {
  tensor<T> logits;                  ///< [T, vocabulary]; of a classifier [1, labels]
  std::vector<tensor<T>> mixer_in;   ///< one a layer, [T, D]: what its mixer got, after the norm
  std::vector<tensor<T>> mixer_out;  ///< [T, D]: what its mixer returned
  shared_streams<T> shared;
};

template <class T>
class model;

/// Token ids where the backend reads them, made by a model.
template <class T>
class stored_text final {
 public:
  std::size_t tokens() const { return ids_.v.of(axis::token); }

 private:
  friend class model<T>;
  tensor<T> ids_;  // [T]
  std::size_t vocabulary_ = 0;
};

/// Where a classifier's head reads the stream: at the last token, at one of them, or the mean over all.
struct pooling final {
  enum class kind : std::uint8_t { last, token, mean };
  kind is = kind::last;
  std::size_t token = 0;
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
  std::size_t vocabulary() const { return vocabulary_; }  ///< 0 for a model that reads values
  std::size_t features() const { return features_; }      ///< values a token of a model that reads values; else 0
  std::size_t width() const { return width_; }
  /// Where among so many tokens the class token comes, in a model of images that has one.
  std::optional<std::size_t> class_token(std::size_t tokens) const;
  const family& of() const { return family_; }
  const architecture& mixer_architecture(std::size_t layer = 0) const;
  /// The labels of a classifier, by index; empty for a language model.
  const std::vector<std::string>& labels() const { return labels_; }
  const kernels<T>& backend() const { return backend_; }

  /// @param ids [T], each below vocabulary(); @throws user_error for an empty text or an id outside the vocabulary
  forward_pass<T> run(std::span<const std::int64_t> ids, const extent_of_run& = {}) const;
  /// The same for tokens that continue those of earlier calls with the same state (a fresh one to begin with).
  forward_pass<T> run(std::span<const std::int64_t> ids, decoding_state<T>& state) const;
  /// The ids where the backend reads them, for runs that are recorded; and others, as many, in their place.
  /// @throws user_error as `run` does, and for a text of another model's vocabulary or backend
  stored_text<T> text_of(std::span<const std::int64_t> ids) const;
  void replace(const stored_text<T>&, std::span<const std::int64_t> ids) const;
  forward_pass<T> run(const stored_text<T>&, const extent_of_run& = {}) const;
  /// @param values  [T, features()], such as the patches of an image; @throws user_error if the model reads ids
  forward_pass<T> run(const tensor<T>& values, const extent_of_run& = {}) const;
  /// The stream that the first layer gets, [T, D].
  tensor<T> before_layers(std::span<const std::int64_t> ids) const;
  /// The stream after a layer, of the one before it. @param shared  filled by the first layer, read by later ones
  tensor<T> after_layer(std::size_t layer, const tensor<T>& before, shared_streams<T>& shared) const;
  using take_attention = std::function<void(std::size_t layer, std::unique_ptr<implicit_attention<T>>)>;
  /// Hands each layer's implicit attention on a stretch of tokens to `take`, from the first layer to the last.
  /// @param ids  [tokens of the stretch], each below vocabulary()
  /// @param state  what the tokens before the stretch have left; a fresh one to begin with
  /// @throws user_error if a layer needs the whole text at once, or the state is another model's
  void run_stretch(std::span<const std::int64_t> ids, stretch_state<T>& state, const take_attention& take) const;
  /// Every layer, and the mean over channels of its H, can be run stretch by stretch.
  bool comes_in_stretches() const;
  /// What the layer's mixer gets of the stream before it: the norm of it.
  tensor<T> mixer_input(std::size_t layer, const tensor<T>& before) const;
  /// The mixer of a layer on its input u [T, D].
  tensor<T> mixer(std::size_t layer, const tensor<T>& u, const shared_streams<T>& = {}) const;
  /// The implicit attention of a layer on its mixer's input u [T, D].
  implicit_attention<T> attention(std::size_t layer, const tensor<T>& u, const shared_streams<T>& = {}) const;
  /// The same with another formula, which must outlive the result.
  implicit_attention<T> attention(std::size_t layer, const tensor<T>& u, const bound_formula&,
                                  const shared_streams<T>& = {}) const;
  /// What later layers read of the first one's mixer input u [T, D].
  shared_streams<T> shared(const tensor<T>& u) const;
  /// The parameters of a layer's mixer.
  const environment<T>& mixer_parameters(std::size_t layer) const;
  /// A stream [tokens, width] from numbers in row-major order.
  tensor<T> stream(std::span<const float> numbers, std::size_t tokens) const;

 private:
  friend class model_gradient<T>;
  /// An architecture that blocks have as their mixer.
  struct mixer_kind {
    const architecture* of;
    bound_formula formula;
    std::vector<expression> inputs;
    expression output;
  };
  struct block {
    std::size_t kind = 0;
    environment<T> norm, mixer;
    std::vector<environment<T>> feed;
  };
  /// What one layer leaves behind: its mixer's input and output, and the stream h that the next one gets; all [T, D].
  struct layer_step final {
    tensor<T> mixer_in, mixer_out, h;
  };
  forward_pass<T> run(tensor<T> h, const extent_of_run&, const kernels<T>&, text_state<T>*) const;
  tensor<T> before_layers(tensor<T> h, const kernels<T>&, text_state<T>*) const;
  layer_step after_layer(std::size_t layer, const tensor<T>& before, shared_streams<T>&, const kernels<T>&,
                         text_state<T>*, bool keeps_mixer_in = true,
                         std::unique_ptr<implicit_attention<T>>* attention = nullptr) const;
  void run_stretch(tensor<T> h, const kernels<T>&, stretch_state<T>&, const take_attention&) const;
  environment<T> attention_inputs(std::size_t layer, const tensor<T>& u, const shared_streams<T>&, const kernels<T>&,
                                  text_state<T>*) const;
  tensor<T> attended(std::size_t layer, const environment<T>& inputs, const kernels<T>&, text_state<T>*) const;
  tensor<T> beside(std::size_t layer, const environment<T>& inputs, const tensor<T>& y, const kernels<T>&) const;
  tensor<T> projected(std::size_t layer, const tensor<T>& y, const kernels<T>&, text_state<T>*) const;
  shared_streams<T> shared_of(const environment<T>& first) const;
  view<const T> rows_of(const parameter<T>&, std::size_t rows) const;
  stored_text<T> text_of(std::span<const std::int64_t> ids, const kernels<T>&) const;
  tensor<T> embedded(const stored_text<T>&, const kernels<T>&) const;
  tensor<T> embedded(const tensor<T>& values, const kernels<T>&) const;
  tensor<T> pooled(const tensor<T>& h, const kernels<T>&) const;
  std::size_t kind_of(const architecture&);
  void bind_blocks();
  void bind_input();
  void bind_head(const checkpoint&);
  void needs_layer(std::size_t) const;
  void needs_ids(std::span<const std::int64_t>) const;
  void needs_text(const stored_text<T>&, const kernels<T>&) const;

  const kernels<T>& backend_;
  const family& family_;
  binder<T> binder_;
  std::vector<std::unique_ptr<mixer_kind>> kinds_;
  std::optional<expression> norm_, last_, logits_;
  expression patch_, head_;
  std::vector<expression> first_, feed_;
  std::vector<environment<T>> first_env_;
  environment<T> patch_env_, last_env_, head_env_, logits_env_;
  std::vector<block> blocks_;
  parameter<T> embeddings_, class_token_, positions_;
  std::vector<std::string> labels_;
  pooling pooling_;
  std::size_t vocabulary_ = 0, features_ = 0, width_ = 0;
  bool classifier_ = false;
};

}  // namespace alphaform
