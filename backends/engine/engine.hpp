// Lazy evaluation of one expression on one backend. Nothing runs until it is asked; what is asked runs in windows of
// tokens and lanes, one thread a window, so that no tensor over tokens, channels and states, let alone over pairs of
// tokens, is ever stored whole. Windows are cut by sizes alone, but where lanes are the same in any of them: results do
// not depend on the number of threads.
#pragma once
#include <alphaform/backends/engine/compiled.hpp>
#include <alphaform/backends/engine/evaluation.hpp>
#include <functional>

namespace alphaform {

template <class T>
class engine final {
 public:
  /// @param g     the expression; must outlive the engine, as must the environment
  /// @param env   what its names stand for; input streams [T, C]
  /// @param carry what was left by the tokens before these, and is left for those after; none if these are all tokens
  engine(const workspace& g, const environment<T>& env, const kernels<T>& k, handed_on<T> carry = {});
  engine(const engine&) = delete;
  engine& operator=(const engine&) = delete;

  /// The stream at `i`, whole: [T, axes]; an axis along which it is the same has one entry. Streams that are more than
  /// pointwise are evaluated once and kept.
  tensor<T> value(node_index i);
  /// The stream at `i` within a window.
  tensor<T> value(node_index i, const window&);

  /// P x for a stream x, [T, axes of x]. A row whose sum is exactly 0 stays 0 when rows are normalised.
  /// @throws user_error when sizes do not fit; internal_error for a term that the engine does not know
  tensor<T> apply(node_index p, const tensor<T>& x);
  /// P' g, the transpose.
  tensor<T> adjoint(node_index p, const tensor<T>& g);
  /// P' e for the unit e of one token, the same for all lanes: [T, lanes], rows of the matrices of all lanes.
  tensor<T> row(node_index p, std::size_t token);
  /// The mean over all lanes of P x, or of P' x, [T]: no stream of lanes is stored. In stretches, the operator takes up
  /// `states`, which come from the stretch before; transposed, from the one after it.
  /// @throws user_error with states, if P needs the whole text
  tensor<T> lane_mean(node_index p, const tensor<T>& x, bool transposed, carried_lanes<T>* states = nullptr);
  /// P x and P' g within one window, before and after which everything is taken as 0.
  tensor<T> apply(node_index p, tensor<T> x, const window&);
  tensor<T> adjoint(node_index p, tensor<T> g, const window&);

  /// P maps every entry of this axis on its own: no Mix over it, no sum.
  bool keeps_apart(node_index p, axes) const;
  /// No token influences an earlier one, so that what windows of later tokens give is what all tokens would give there.
  bool causal(node_index p) const;
  /// The stream P s of the graph, absent if it has none.
  node_index stream_of(node_index p, node_index s) const;
  /// The tokens that P looks back, if they are few and P is otherwise pointwise.
  std::optional<std::size_t> reach(node_index p) const;

  std::size_t tokens() const { return shapes_.tokens(); }
  window everything() const { return {0, tokens()}; }
  const workspace& graph() const { return g_; }
  const environment<T>& env() const { return env_; }
  const kernels<T>& run() const { return k_; }
  shapes<T>& sizes() { return shapes_; }
  arena<T>& memory() { return arena_; }
  const memory_count& count() const { return arena_.count(); }
  /// Entries of one stream in a window of one thread. Fewer take less memory and more time.
  /// A backend with its own memory takes everything at once, if nothing else is said.
  static constexpr std::size_t usual_window = 32768, fewest_lanes = 16, usual_lanes = 512, most_lanes = 1024;
  static std::size_t usual_window_on(const kernels<T>& k) {
    return k.has_own_memory ? static_cast<std::size_t>(-1) : usual_window;
  }
  void use_windows_of(std::size_t entries) { window_entries_ = entries; }
  std::size_t window_entries() const { return window_entries_; }
  compiler<T>& programs() { return programs_; }
  bool decodes() const { return carry_ != nullptr; }
  /// The tokens are a long stretch of a text, with what the one before has left.
  bool is_stretch() const { return stretch_ != nullptr; }
  bool has_whole_text() const { return !decodes() && !is_stretch(); }
  bool shared(node_index i) const { return shared_[i]; }
  /// The operators that occur several times within P.
  const std::vector<bool>& repeated_in(node_index p);
  /// A stream that no token changes, whatever their number: made of parameters alone.
  bool steady(node_index i) const { return steady_[i]; }
  /// Where the evaluations of a query remember streams together, on a device whose windows have no limit; null if each
  /// does for itself.
  remembered_by_all<T>* remembered() {
    const bool at_once = k_.has_own_memory && window_entries_ == usual_window_on(k_) && has_whole_text();
    return at_once ? &remembered_ : nullptr;
  }
  /// A stream that is evaluated whole, once.
  const tensor<T>& kept(node_index i);

 private:
  /// What an operator is applied to: a stored stream, or one that is evaluated window by window.
  struct source final {
    tensor<T> x{};
    node_index stream = absent;
    node_index input = absent;  // that x is
    // x is 0 at all tokens but one: an operator that gives the same for zeros, for windows without it.
    std::size_t token = 0;
    node_index of_zeros = absent;

    node_index or_of_zeros(node_index p, const window& w) const {
      return of_zeros != absent && (token < w.token_begin || token >= w.token_end) ? of_zeros : p;
    }
  };
  struct division;
  void each_task(std::size_t tasks, std::size_t entries, const std::function<std::size_t(std::size_t)>& task);
  template <class Take>
  void each_window(node_index p, const source&, bool transposed, const division&, const tensor<T>* to,
                   carried_lanes<T>* states, const Take& take);
  static std::size_t tasks_of(const division&);
  static std::size_t even_parts(std::size_t all, std::size_t at_once);
  tensor<T> within(evaluation<T>&, node_index p, const source&, bool transposed, const window&, const tensor<T>* to);
  source source_of(const tensor<T>& x) const;
  extents result_of(node_index p, const source&, bool transposed);
  tensor<T> pass(node_index p, const source&, bool transposed, number_format as = number_format::whole,
                 carried_lanes<T>* states = nullptr);
  tensor<T> moved_here(evaluation<T>&, const tensor<T>& part);
  tensor<T> in_windows(node_index pointwise);
  bool within_tokens(node_index p) const;
  bool streams(node_index p);
  bool is_one_pass(node_index p) const;
  bool in_token_windows(node_index p, bool transposed);
  void needs_stretches(node_index p, bool transposed);
  bool has_matrix(node_index p) const;
  node_index without_weights(node_index p, const tensor<T>& x);
  std::pair<extents, std::vector<extents>> result_and_carried(node_index p, const tensor<T>& x);
  extents dry(node_index p, const source&, bool transposed, const window&);
  division divided(node_index p, const extents& result, const extents& operand, bool transposed, std::size_t parts = 2);

  // Stages of a transpose, in stages.cpp.
  struct stage_ends;
  bool sums_states(node_index p);
  bool needs_stages(node_index p);
  bool begins_apart(node_index p, axes) const;
  std::size_t lanes_along(axes);
  axes lane_of_stage(node_index p);
  stage_ends ends_of_stage(node_index p, const tensor<T>& g, axes lane);
  std::size_t lanes_of_stage(axes lane);
  std::vector<std::pair<node_index, tensor<T>>> stage(node_index p, const tensor<T>& g, axes lane);
  tensor<T> adjoint_in_stages(node_index p, const tensor<T>& g);

  const workspace& g_;
  const environment<T>& env_;
  const kernels<T>& k_;
  shapes<T> shapes_;
  compiler<T> programs_;
  arena<T> arena_;
  carried<T>* carry_;
  carried_streams<T>* stretch_;
  std::map<node_index, tensor<T>> kept_;
  std::map<node_index, bool> sums_states_;
  std::map<node_index, std::vector<bool>> repeated_;
  std::mutex keeping_;
  remembered_by_all<T> remembered_;
  std::size_t window_entries_ = usual_window_on(k_);
  std::vector<bool> shared_;  // nodes that several others have as an argument
  std::vector<bool> steady_;
};

}  // namespace alphaform
