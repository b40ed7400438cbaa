// Forms of operators that the engine runs in one kernel.
#pragma once
#include <alphaform/algebra/derive.hpp>
#include <optional>
#include <vector>

namespace alphaform {

/// The factors of a product, left to right.
std::vector<node_index> factors_of(const workspace& g, node_index p);
/// The terms of a sum.
std::vector<node_index> terms_of(const workspace& g, node_index p);

/// Contract Diag(read) Scan(Diag decay) Diag(write) Expand: the streams of an Unrolled, by their place in the graph.
struct unrolled_form final {
  node_index decay = absent, write = absent, read = absent;
};
/// Recognises an Unrolled at place `at` of a list of factors; it takes five of them.
std::optional<unrolled_form> as_unrolled(const workspace& g, const std::vector<node_index>& factors, std::size_t at);

/// Is the stream 1 / (P 1), and which operator is P? `absent` if it is another one.
node_index as_inverse_row_sum(const workspace& g, node_index stream);

/// Diag(1 / (P 1)) P for an attention P, at place `at` of a list of factors; it takes two of them.
bool is_softmax(const workspace& g, const std::vector<node_index>& factors, std::size_t at);

}  // namespace alphaform
