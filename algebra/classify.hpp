// What can be said of an implicit attention from its expression alone: its class, what controls it, how many matrices
// it stands for, what every query costs, and what each factor does.
#pragma once
#include <alphaform/algebra/cost.hpp>
#include <alphaform/algebra/factors.hpp>

namespace alphaform {

/// The three classes of the paper's Sec. 3: entries given directly; a recurrence or filter per channel; a tensor,
/// because an operator of H mixes channels.
enum class attention_class : std::uint8_t { explicit_, implicit, tensor };
std::string_view text_of(attention_class c);

/// A sentence in which every @ stands for one of `terms`, in order.
struct phrase final {
  std::string text;
  std::vector<node_index> terms{};
};
struct factor_role final {
  factor what;
  phrase does;
};

struct query_cost final {
  std::string query, operations, memory, how;
};

struct attention_properties final {
  attention_class is = attention_class::explicit_;
  bool data_controlled = false;  ///< some input controls H; otherwise H is the same for every text
  bool causal = true;
  std::string matrices;              ///< how many independent T x T matrices: "C", one per channel
  std::string operations;            ///< of H x, exactly, with the controls given
  std::vector<query_cost> costs;     ///< orders of growth
  std::vector<factor_role> factors;  ///< left to right; of a sum, one row per summand
};

/// @throws user_error when the derivation of H was refused
attention_properties classify(const term_view& H);

}  // namespace alphaform
