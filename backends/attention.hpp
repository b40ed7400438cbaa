// Implicit attention of one mixer on one text, lazily: bind a declaration to parameters and inputs, then ask for H x,
// rows, columns, matrices or reductions. Nothing runs until it is asked, and nothing larger than the answer is stored
// for long.
#pragma once
#include <alphaform/architectures/architecture.hpp>
#include <alphaform/backends/engine/semiseparable.hpp>
#include <alphaform/backends/plan/counting.hpp>
#include <array>
#include <string>

namespace alphaform {

/// What is taken over the channels of H, entry by entry.
enum class reduction : std::uint8_t {
  mean,
  abs_mean,  ///< of |H|
  clamp,     ///< the mean of max(H, 0)
  max        ///< the largest |H|
};
inline constexpr std::array<std::string_view, 4> reduction_names{"mean", "abs-mean", "clamp", "max"};
constexpr std::string_view text_of(reduction r) { return reduction_names[static_cast<std::size_t>(r)]; }

/// What can be asked of H. `at` is a token or a channel.
struct query final {
  enum class kind : std::uint8_t { apply, adjoint, remainder, row, column, matrix, reduced_row, reduced_matrix };
  kind is = kind::apply;
  std::size_t at = 0;
  reduction over = reduction::mean;
};

/// What a query takes; known before it runs.
struct query_plan final {
  std::string query, strategy, reason, backend;
  std::string recurrence;  ///< whether the recurrences of H may be scanned in parallel, or why not
  std::size_t tokens = 0, channels = 0, threads = 1;
  work_of_kernels steps;       ///< by kernel
  work all;                    ///< their sum
  std::size_t window = 0;      ///< entries of one stream that a thread has at once
  std::size_t peak_bytes = 0;  ///< beyond parameters and inputs, result included
};

/// y = H x + r, with H, r and y sharing one graph.
struct bound_formula final {
  workspace g{};
  node_index output = absent, formula = absent, remainder = absent;
  /// What H does from each channel to itself, as an operator that keeps channels apart: H where it does so itself;
  /// absent where that cannot be written down.
  node_index diagonal = absent;
};
/// @throws user_error when the declaration has no implicit attention
bound_formula formula_of(const expr& attention);
/// The same stream beside another operator than its own H: to measure what that operator misses, or what ablating a
/// term changes.
bound_formula formula_of(const expr& attention, const expr& other);

template <class T>
class implicit_attention final {
 public:
  /// @param formula  from formula_of; @param env parameters, and inputs [T, C] of which "x" is the value path
  /// @param states  what the streams of earlier tokens have left, if these are a long stretch of a text
  implicit_attention(const bound_formula& formula, environment<T> env, const kernels<T>& backend,
                     handed_on<T> states = {});

  implicit_attention(const bound_formula&&, environment<T>, const kernels<T>&,
                     handed_on<T> = {}) = delete;  // the formula must outlive this
  implicit_attention(const implicit_attention&) = delete;
  implicit_attention& operator=(const implicit_attention&) = delete;

  std::size_t tokens() const { return tokens_; }
  /// Channels of y, those of the first head of the first group first.
  std::size_t channels() const { return volume(stream_) / tokens_; }
  /// H passes from channel to channel, not only along tokens.
  bool mixes_channels() const { return f_.diagonal != f_.formula; }
  /// The extents of y: [T, C], [T, H, C] or [T, G, H, C].
  const extents& stream() const { return stream_; }
  /// The value path's input x, [T, C].
  const tensor<T>& x() const { return env_.inputs.find(value_input)->second; }

  tensor<T> output();                     ///< y by its recurrence, [T, C]
  tensor<T> remainder();                  ///< r, [T, C]
  tensor<T> apply(const tensor<T>& x);    ///< H x, [T, C]
  tensor<T> adjoint(const tensor<T>& g);  ///< H' g, [T, C]
  /// Mean over channels of H_c x, or of H_c' g, for one stream [T] that all channels get: products with the mean map
  /// that never form it. Of a stretch of a text, H takes up `states` of the stretch before it; transposed, of the one
  /// after it. @throws user_error where H mixes channels and has no part that keeps them apart
  tensor<T> mean_apply(const tensor<T>& x, carried_lanes<T>* states = nullptr);
  tensor<T> mean_adjoint(const tensor<T>& g, carried_lanes<T>* states = nullptr);
  /// Where H mixes channels (a norm that subtracts their mean; S5) it is a tensor H[t, c, s, d]. Rows, columns,
  /// matrices and reductions are then those of its diagonal blocks c = d, what a channel passes on to itself; apply and
  /// adjoint are whole.
  tensor<T> row(std::size_t i);           ///< H_c[i, s] as [T, C]; @throws user_error for a token that does not exist
  tensor<T> column(std::size_t j);        ///< H_c[t, j] as [T, C]
  tensor<T> matrix(std::size_t channel);  ///< H_c as [T, column T]
  tensor<T> reduced_row(std::size_t i, reduction);  ///< over channels, [T]
  tensor<T> reduced_matrix(reduction);              ///< over channels, [T, column T]

  /// What `q` would take on this backend, without computing it. Streams that earlier queries have left count as new.
  query_plan plan(const query& q) const;
  /// Makes queries take at most so many bytes beyond parameters and inputs: by smaller windows, where these help.
  /// Queries then are planned before they run. @throws user_error from them, with the number, if it is not enough.
  /// Without a limit, and where memory is short all the same, windows become smaller after the fact; what then does not
  /// fit is refused. @throws out_of_memory from queries, with the number
  void use_at_most(std::size_t bytes) { most_bytes_ = bytes; }
  /// The most memory that queries on this object have used, beyond parameters and inputs.
  std::size_t peak_bytes() const { return engine_.count().peak; }

 private:
  tensor<T> mean_product(const tensor<T>&, bool transposed, carried_lanes<T>* states);
  tensor<T> answer(const query&, const tensor<T>& operand = {});
  /// What `ask` gives of an engine: in smaller windows where memory is short.
  template <class Ask>
  tensor<T> answered(const Ask& ask);
  /// The most bytes that `ask` takes with windows of so many entries; counted_work() then tells what it does.
  template <class Ask>
  std::size_t counted(const Ask& ask, std::size_t window) const;
  std::size_t largest_window() const { return volume(together(stream_, x().v.size)); }
  /// A device takes streams that fit into one window as if there were none.
  std::size_t window_of(std::size_t entries) const {
    return backend_.has_own_memory && entries >= largest_window() ? engine<T>::usual_window_on(backend_) : entries;
  }
  query_plan planned(const query&, std::size_t window) const;
  void needs_stream(const tensor<T>&) const;
  void check(const query&) const;

  const bound_formula& f_;
  environment<T> env_;
  const kernels<T>& backend_;
  std::size_t tokens_ = 0;
  extents stream_ = single;
  std::size_t most_bytes_ = static_cast<std::size_t>(-1);
  engine<T> engine_;
};

}  // namespace alphaform
