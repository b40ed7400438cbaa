// A model around a mixer, as data: its blocks are expressions too, and tables say which tensors of a checkpoint its
// parameters are. A residual model is  h = embed(ids);  h += mixer(norm(h));  h += feed(h)  for each block;  logits =
// head(last(h)).
#pragma once
#include <alphaform/architectures/architecture.hpp>
#include <span>
#include <string_view>

namespace alphaform {

/// An expression of "x" [T, D] and where its parameters lie: parameter p is the tensor `prefix` + p, with {i} the
/// block.
struct component final {
  std::string_view prefix;
  expr of_x;
};

/// One piece of a tensor's rows. Its length is that of dimension `dimension` of the mixer's tensor `like`.
struct portion final {
  std::string_view parameter, like;
  std::size_t dimension;
};
/// A tensor that holds several parameters one after the other along its rows.
struct split final {
  std::string_view tensor;
  std::span<const portion> parts;
};

/// A parameter whose tensor has another name in this format, or is stored in another form.
struct alias final {
  std::string_view parameter, tensor;
  double (*stored)(double) = nullptr;  ///< from the stored number to the parameter's
};

/// A config key that, where it is present, must have this value: the expressions above are for no other.
struct requirement final {
  std::string_view key, value;
};

struct family final {
  std::string_view model_type;  ///< as config.json says it
  std::string_view mixer;       ///< registered architecture
  std::string_view
      prefix;  ///< of every tensor but the head's, such as "backbone."; config key backbone_prefix overrides it
  std::string_view embeddings;
  std::span<const component> first;  ///< applied to the embeddings, parameters of block 0
  component norm;                    ///< the mixer's input
  std::string_view mixer_prefix;
  std::span<const component> feed;  ///< added to the stream after the mixer
  component last;
  std::string_view head;         ///< tensor of the output head; the embeddings where it is absent
  std::string_view epsilon_key;  ///< config key of the norms' epsilon
  double epsilon;                ///< where the config has none
  std::span<const split> splits;
  std::span<const alias> aliases;
  std::span<const std::string_view> optional;  ///< parameters that may be absent: 0 then
  /// Ends of names of tensors that transformers divides by 2 for every `rescale_every` blocks before theirs, halving
  /// the stream there.
  std::span<const std::string_view> rescaled;
  std::span<const requirement> required;
  requirement unlike;  ///< a tensor that must not be there, and what it says about the file
};

}  // namespace alphaform
