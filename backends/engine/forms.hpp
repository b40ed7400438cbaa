// Forms of operators that the engine runs in one kernel.
#pragma once
#include <alphaform/algebra/derive.hpp>
#include <optional>
#include <vector>

namespace alphaform {

using streams = std::vector<node_index>;

/// The factors of a product, left to right.
std::vector<node_index> factors_of(const workspace& g, node_index p);
/// The terms of a sum.
std::vector<node_index> terms_of(const workspace& g, node_index p);
/// The streams whose product this one is.
streams stream_factors_of(const workspace& g, node_index stream);

/// Contract Diag(read) core Diag(write) Expand over the state, with a core of Delay? Scan(A) and Diag(bonus): streams
/// by their place in the graph; those of one list multiply.
struct unrolled_form final {
  streams decay, write, read;
  std::vector<streams> bonus;   ///< Diags beside the scan
  std::optional<streams> p, q;  ///< A = Diag(decay) + p q' where there are
  bool exclusive = false;       ///< the state is read before the current token is written
  std::size_t factors = 0;      ///< of the product, that it takes
};
/// Recognises an Unrolled that begins or ends at place `at` of a list of factors.
std::optional<unrolled_form> unrolled_from(const workspace& g, const std::vector<node_index>& factors, std::size_t at);
std::optional<unrolled_form> unrolled_up_to(const workspace& g, const std::vector<node_index>& factors, std::size_t at);

/// Is the stream 1 / (P 1), and which operator is P? `absent` if it is another one.
node_index as_inverse_row_sum(const workspace& g, node_index stream);

/// Diag(1 / (P 1)) P for an attention P, at place `at` of a list of factors; it takes two of them.
bool is_softmax(const workspace& g, const std::vector<node_index>& factors, std::size_t at);

}  // namespace alphaform
