// What can be said of an implicit attention from its expression alone: its class, what controls it, how many matrices
// it stands for, what every query costs, and what each factor does, how far it reads and which bias it brings.
#pragma once
#include <alphaform/algebra/cost.hpp>
#include <alphaform/algebra/factors.hpp>
#include <alphaform/algebra/roles.hpp>

namespace alphaform {

/// The three classes of the paper's Appendix E: entries given directly; a recurrence or filter per channel; a tensor,
/// because an operator of H mixes channels or heads.
enum class attention_class : std::uint8_t { explicit_, implicit, tensor };
std::string_view text_of(attention_class c);

/// A sentence in which every @ stands for one of `terms`, in order.
struct phrase final {
  std::string text;
  std::vector<node_index> terms{};
};

/// Terms are indices into the graph of attention_properties.
struct factor_properties final {
  node_index what;
  role is;
  phrase does;
  std::string reads;      ///< "own token only", "K - 1 tokens back" ...
  std::string bandwidth;  ///< diagonals beside the main one that can be other than 0: "0", "K - 1", "1", "T - 1"
  std::string_view bias;  ///< in words, after the paper's Appendix E
};

struct query_cost final {
  std::string query, operations, memory, how;
};

struct attention_properties final {
  large_expr H{};  ///< with normalisations written out
  attention_class is = attention_class::explicit_;
  bool data_controlled = false;  ///< some input controls H; otherwise H is the same for every text
  bool causal = true;
  std::string direction;                   ///< "causal", "anti-causal" or "two-sided"
  std::string matrices;                    ///< how many independent T x T matrices: "C (one for each channel)"
  std::string operations;                  ///< of H x, exactly, with the controls given
  std::vector<query_cost> costs;           ///< orders of growth
  std::vector<factor_properties> factors;  ///< left to right; of a sum, one row per summand
};

/// Along which axes a stream differs, seen through repetition.
axes differs_along(const term_view& v, node_index stream);

/// @param value  the axes of the value input, on whose streams H acts
/// @throws user_error when the derivation of H was refused
attention_properties classify(const term_view& H, axes value);
/// The same on streams that have no other axes than H names.
attention_properties classify(const term_view& H);

}  // namespace alphaform
