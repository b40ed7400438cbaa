// Pointwise streams as programs: what is computed entry by entry is one pass over what it reads.
#pragma once
#include <alphaform/backends/engine/forms.hpp>
#include <alphaform/backends/engine/shapes.hpp>
#include <map>
#include <mutex>
#include <utility>

namespace alphaform {

/// What a compiled program makes of streams.
enum class made_of : std::uint8_t {
  product,          ///< all of them multiplied; 1 if there are none
  product_with,     ///< the same times one more operand
  change_of_decay,  ///< a - 1 for their product a, without cancellation where the stream is known to be close to 1
  scan,             ///< a scan with what comes before and after it, of one more operand
  scan_back,        ///< its transpose
  states,           ///< a pass over an unrolled recurrence, of one more operand
  states_back,      ///< its transpose
  gated_sum         ///< a gated sum's pass, of what its Diag is applied to and of what P has made
};

struct compiled_stream final {
  pointwise program;
  std::vector<node_index> reads;  ///< streams that are its operands, in order
  extents size = single;          ///< of the result, for all tokens and lanes
};

/// A stream whose entries depend on the same entries of its arguments only.
bool is_pointwise(const workspace& g, node_index stream);
/// Pointwise streams that no input is part of.
std::vector<bool> made_of_parameters(const workspace& g);
/// Nodes that several others need: streams, also where a term in between is part of several programs; operators.
std::vector<bool> needed_often(const workspace& g);
/// The operators that occur several times within P.
std::vector<bool> repeated_within(const workspace& g, node_index p);

/// Compiles streams of one graph and keeps the programs. May be used by several threads.
template <class T>
class compiler final {
 public:
  compiler(const workspace& g, shapes<T>& sizes);
  const compiled_stream& program(made_of, const streams&);
  /// Diag(after) Scan(Diag(decay)) Diag(before) times one more operand, or the transpose.
  const compiled_stream& scan_program(const scan_form&, bool transposed);
  /// The same of an unrolled recurrence: of its factors, the streams that have no state.
  const compiled_stream& unrolled_program(const unrolled_pass_form&, bool transposed);
  /// Of two more operands, x and P x.
  const compiled_stream& gated_sum_program(const gated_sum_form&);

 private:
  // Of a scan: first, decay, last; of a gated sum: outer, inner; of states: see `compilation`; of others: all.
  using key = std::pair<made_of, std::vector<streams>>;
  const compiled_stream& known(const key&);

  const workspace& g_;
  shapes<T>& sizes_;
  std::vector<std::vector<node_index>> parents_;
  std::map<key, compiled_stream> known_;
  std::mutex guard_;
};

}  // namespace alphaform
