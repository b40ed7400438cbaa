// Forms of operators that the engine runs in one kernel.
#pragma once
#include <alphaform/algebra/derive.hpp>
#include <functional>
#include <optional>
#include <vector>

namespace alphaform {

using streams = std::vector<node_index>;

/// The factors of a product, left to right.
std::vector<node_index> factors_of(const workspace& g, node_index p);
/// The factors of a product; `suffix[k]` is the node of the product from factor k on, or absent.
struct spine final {
  std::vector<node_index> factors, suffix;
  spine(const workspace& g, node_index p);
  std::size_t size() const { return factors.size(); }
};
/// Appends the streams of the Diags from place `k` of a list of factors on; the place behind them.
std::size_t take_diagonals(const workspace& g, const std::vector<node_index>& factors, std::size_t k, streams& list);
/// Is the operator a Diag, or I? Appends its streams.
bool is_diagonal(const workspace& g, node_index operation, streams& list);
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
/// The factors of log(decay), where the decay is an exponential; none if it is not.
streams exponent_of(const workspace& g, const unrolled_form&);
/// Recognises an Unrolled that begins or ends at place `at` of a list of factors.
std::optional<unrolled_form> unrolled_from(const workspace& g, const std::vector<node_index>& factors, std::size_t at);
std::optional<unrolled_form> unrolled_up_to(const workspace& g, const std::vector<node_index>& factors, std::size_t at);

/// Diag(outer) (Diag(after) Unrolled Diag(before) + Diag(inner)) Diag(first): one pass of a program over its operands
/// and states. Without a sum, only `outer` and `first` are there.
struct unrolled_pass_form final {
  unrolled_form core;
  streams outer, after, before, inner, first;
  bool skips = false;       ///< there is a sum
  std::size_t factors = 0;  ///< of the product, that it takes
};
/// Recognises one that begins or ends at place `at` of a list of factors, and takes as many Diags as `joins` allows: it
/// is asked about each place between two factors.
std::optional<unrolled_pass_form> unrolled_pass_from(const workspace& g, const std::vector<node_index>& factors,
                                                     std::size_t at, const std::function<bool(std::size_t)>& joins);
std::optional<unrolled_pass_form> unrolled_pass_up_to(const workspace& g, const std::vector<node_index>& factors,
                                                      std::size_t at, const std::function<bool(std::size_t)>& joins);

/// Diag(after) Scan(Diag(decay)) Diag(before): one pass of a program over its operands.
struct scan_form final {
  streams after, decay, before;
  std::size_t factors = 0;  ///< of the product, that it takes
};
/// Recognises one that begins or ends at place `at`, as above.
std::optional<scan_form> scan_from(const workspace& g, const std::vector<node_index>& factors, std::size_t at,
                                   const std::function<bool(std::size_t)>& joins);
std::optional<scan_form> scan_up_to(const workspace& g, const std::vector<node_index>& factors, std::size_t at,
                                    const std::function<bool(std::size_t)>& joins);

/// Diag(outer) (P + Diag(inner)): one pass over what P makes.
struct gated_sum_form final {
  streams outer, inner;
  node_index other = absent;  ///< P
  std::size_t factors = 0;
};
/// Recognises one that ends at place `at`, as above.
std::optional<gated_sum_form> gated_sum_up_to(const workspace& g, const std::vector<node_index>& factors,
                                              std::size_t at, const std::function<bool(std::size_t)>& joins);

/// Diag(gates) Conv, of which the transpose is one pass.
struct gated_filter_form final {
  streams gates;
  node_index filter = absent;
  std::size_t factors = 0;
};
/// Recognises one that begins at place `at`, as above.
std::optional<gated_filter_form> gated_filter_from(const workspace& g, const std::vector<node_index>& factors,
                                                   std::size_t at, const std::function<bool(std::size_t)>& joins);

/// Is the stream 1 / (P 1), and which operator is P? `absent` if it is another one.
node_index as_inverse_row_sum(const workspace& g, node_index stream);

/// Diag(1 / (P 1)) P for an attention P, at place `at` of a list of factors; it takes two of them.
bool is_softmax(const workspace& g, const std::vector<node_index>& factors, std::size_t at);

}  // namespace alphaform
