// A model around its mixers, as data: its blocks are expressions too, and tables say which tensors of a checkpoint its
// parameters are and what its configuration means. A residual model is  h = embed(ids);  h += mixer(norm(h));  h +=
// feed(h)  for each block;  logits = logits(head(last(h))).
#pragma once
#include <alphaform/architectures/architecture.hpp>
#include <alphaform/architectures/models/facts.hpp>
#include <span>
#include <string_view>

namespace alphaform {

/// An expression of "x" [T, D] and where its parameters lie: parameter p is the tensor `prefix` + p, with {i} the block
/// and {n} its number counted from 1. Without an expression it is the identity.
struct component final {
  std::string_view prefix{};
  expr of_x{};
};

/// The mixer of a block, if `when` holds there; the first that does is taken.
struct mixer_choice final {
  const architecture* mixer;
  std::string_view prefix;
  bool (*when)(const facts&) = nullptr;
};

/// A tensor that holds several parameters one after the other along its rows, each as long as its axes say.
struct split final {
  std::string_view tensor;
  std::span<const std::string_view> parameters;
};

/// A parameter whose tensor has another name in this format, or is stored in another form.
struct source final {
  std::string_view parameter, tensor;
  array (*stored)(array, const facts&) = nullptr;  ///< from what is stored to what is meant
};

/// A parameter that follows from the configuration or from other tensors.
struct setting final {
  std::string_view parameter;
  array (*of)(const facts&);
};

/// Entries of an axis in the mixer, where shapes do not tell them.
struct axis_length final {
  axes of;
  std::size_t (*entries)(const facts&);
};

/// A config key that, where it is present, must have one of these values ("a|b", as JSON): the expressions are for no
/// other.
struct requirement final {
  std::string_view key, values;
};

/// What a config key says and the tensors of a mixer say too: a number, or a flag as 0 or 1.
struct agreement final {
  std::string_view key;
  std::size_t (*found)(const facts&);
};

/// Tensors of a mixer of which a block has all or none.
using company = std::span<const std::string_view>;

/// Values instead of token ids: x_t = W p_t + b for patches p of an image, row by row, of a width that follows from W;
/// then a class token at a given place, and positions are added.
struct patches final {
  std::string_view weight{}, bias{}, class_token{}, positions{};
};

struct family final {
  std::string_view name;        ///< the format, as a support table calls it
  std::string_view model_type;  ///< as config.json says it
  std::string_view marker{};    ///< a tensor that only this format of the type has
  std::string_view prefix{};    ///< of every tensor but the head's; config key backbone_prefix overrides it
  std::string_view embeddings{};
  patches image{};
  std::span<const component> first{};  ///< applied to the embeddings, parameters of block 0
  component norm{};                    ///< the mixer's input
  std::span<const mixer_choice> mixers{};
  bool residual = true;
  std::span<const component> feed{};  ///< added to the stream after the mixer
  component last{};
  std::string_view head{};       ///< tensor of the output head; the embeddings where it is absent
  std::string_view head_bias{};  ///< may be absent
  component logits{};            ///< applied to the logits
  bool classifies = false;       ///< the head gives labels, for the text or image as a whole
  std::span<const axis_length> lengths{};
  std::span<const split> splits{};
  std::span<const source> sources{};
  std::span<const setting> settings{};
  std::span<const std::string_view>
      optional{};  ///< ends of names of parameters that may be absent: 0, filters the identity
  /// Ends of names of tensors that transformers divides by 2 for every `rescale_every` blocks before theirs, halving
  /// the stream there.
  std::span<const std::string_view> rescaled{};
  std::span<const requirement> required{};
  std::span<const agreement> stated{};
  std::span<const company> together{};
  /// Parts of names of tensors that no expression reads and that do not change what is computed, or that settings read.
  /// Any other tensor that is not read is refused: with it the model would be another.
  std::span<const std::string_view> besides{};
};

/// All formats that can be loaded.
extern const std::span<const family> families;

}  // namespace alphaform
