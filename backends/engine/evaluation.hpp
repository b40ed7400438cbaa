// Evaluates streams and operators within windows: the part of the engine that each thread has for itself.
#pragma once
#include <alphaform/backends/engine/carried.hpp>
#include <alphaform/backends/engine/compiled.hpp>
#include <alphaform/backends/engine/forms.hpp>
#include <alphaform/backends/engine/remembered.hpp>
#include <alphaform/backends/engine/shapes.hpp>
#include <alphaform/backends/engine/state_branches.hpp>
#include <alphaform/backends/engine/window.hpp>
#include <utility>

namespace alphaform {

template <class T>
class engine;

/// As many tokens as an operator takes at once where a window has more: control streams stay small.
inline constexpr std::size_t token_block = 128;

template <class T>
class evaluation final {
 public:
  /// @param whole  gives streams that are kept whole; @param carry what was left by the tokens before a window (after
  /// it, for a transpose), and is left for those that come next; none if nothing comes before
  /// @param tries  only to learn what it needs: what it remembers is for itself alone
  evaluation(engine<T>& whole, const kernels<T>& k, carried<T>* carry, bool tries = false);
  evaluation(const evaluation&) = delete;
  evaluation& operator=(const evaluation&) = delete;

  /// The stream at `i` within a window.
  tensor<T> value(node_index i, const window&);
  /// The same of a pointwise one, stored at y.
  void value_into(node_index i, const window&, const view<T>& y);
  /// P x and P' g within one window: `x` has the window's tokens and lanes, and may have columns. Subterms that meet
  /// the same operand are evaluated once. The result is stored at `to`, where that is possible.
  /// @throws internal_error where an operator that needs all tokens gets a part of them
  tensor<T> apply(node_index p, tensor<T> x, const window&, const tensor<T>* to = nullptr);
  tensor<T> adjoint(node_index p, tensor<T> g, const window&, const tensor<T>* to = nullptr);
  /// P s for a stream s of the graph: what factors of P make of it may be streams of the graph as well, which are
  /// evaluated once.
  tensor<T> apply(node_index p, node_index s, const window&, const tensor<T>* to = nullptr);
  class sweep;  ///< P' g that stops where lanes meet
  /// The product of streams.
  tensor<T> product(const streams&, const window&);
  /// Decay, write and read of an Unrolled within a window; `keep` holds what they refer to.
  recurrence<T> controls(const unrolled_form&, const window&, std::vector<tensor<T>>& keep);
  tensor<T> read_bonus(const unrolled_form&, const streams& bonus, const window&);
  /// Running maxima of a peak or prior_peak, for all tokens.
  tensor<T> peaks(const node&);

  /// Forgets the streams of windows that were evaluated.
  void next_window();
  /// Tells kernels what a later window will read of the streams that are stored whole, as far as that is known.
  void expect(const window&, const tensor<T>& x);
  arena<T>& memory() { return arena_; }
  /// A state before the first token: what was carried here, or `initial`.
  tensor<T> state(const extents& size, T initial);

 private:
  struct operand;
  remembered<T>& shared();

  tensor<T> part_of(const tensor<T>& whole, const window&);
  tensor<T> computed(node_index stream, const window&);
  tensor<T> local(node_index stream, std::size_t reach, const window&);
  using brought = std::vector<tensor<T>>;
  std::vector<view<const T>> operands(const compiled_stream&, const window&, const brought& last,
                                      std::vector<tensor<T>>& keep);
  void evaluate(const compiled_stream&, const window&, const brought& last, const view<T>& y);
  tensor<T> evaluated(const compiled_stream&, const window&);
  tensor<T> change_of(const streams& decay, const window&);
  factored<T> control(const streams&, const window&, std::vector<tensor<T>>& keep);

  tensor<T> place(const extents& size, const tensor<T>* to);
  tensor<T> applied(node_index p, operand&, const tensor<T>* to);
  tensor<T> step(node_index p, tensor<T> x, const window&, bool transposed, const tensor<T>* to = nullptr);
  bool fits(const unrolled_form&, const tensor<T>& x);
  bool fits(const unrolled_pass_form&, const tensor<T>& x);
  extents extents_of(const unrolled_pass_form&, const tensor<T>& x, const window&);
  tensor<T> unrolled_pass(const unrolled_pass_form&, const tensor<T>& x, const window&, bool transposed,
                          const tensor<T>* to = nullptr);
  bool fits(const state_branches&, const tensor<T>& g);
  extents extents_of(const state_branches&);
  std::vector<tensor<T>> state_sums(const state_branches&, const tensor<T>& g, const window&);
  tensor<T> unrolled(const unrolled_form&, const tensor<T>& x, const window&, bool transposed,
                     const tensor<T>* to = nullptr);
  void unrolled_part(const unrolled_form&, const tensor<T>& x, const tensor<T>& h, const tensor<T>& y, const window&,
                     bool transposed);
  tensor<T> in_blocks(const compiled_stream&, const window&, const brought&, const tensor<T>* to);
  tensor<T> gated(const gated_sum_form&, const tensor<T>& x, const tensor<T>& other, const window&,
                  const tensor<T>* to);
  tensor<T> scaled(const streams&, const tensor<T>& x, const window&, const tensor<T>* to = nullptr);
  tensor<T> summed(const tensor<T>& x, axes over);
  tensor<T> over_tokens(const tensor<T>& x, const window&);
  tensor<T> complex(const node&, const tensor<T>& x, bool transposed);
  tensor<T> turned(const node&, const tensor<T>& x, bool transposed);
  tensor<T> reordered(const node&, const tensor<T>& x, const window&, bool transposed);
  tensor<T> mixed(const node&, tensor<T> x, const window&, bool transposed, const tensor<T>* to);
  tensor<T> matrix_product(const node&, tensor<T> x, bool transposed, const tensor<T>* to);
  tensor<T> matrix_product(const matrix_view<T>&, const node&, tensor<T> x, bool transposed, const tensor<T>* to);
  tensor<T> filtered(const node&, tensor<T> x, const window&, bool transposed, const tensor<T>* to);
  bool is_short_filter(node_index p) const;
  node_index short_filter_of(node_index stream) const;
  bool fits(const gated_filter_form&);
  tensor<T> filtered_back(const gated_filter_form&, tensor<T> g, const window&, const tensor<T>* to);
  tensor<T> lagged(const node&, tensor<T> x, const window&, bool transposed);
  tensor<T> attended(const node&, bool normalised, tensor<T> x, const window&, bool transposed);
  std::pair<extents, extents> extents_of(const scan_form&, const tensor<T>& x, const window&, bool transposed);
  tensor<T> scan(const scan_form&, const tensor<T>& x, const window&, bool transposed, const tensor<T>* to = nullptr);
  tensor<T> scan(node_index transition, tensor<T> x, const window&, bool transposed, const tensor<T>* to);
  tensor<T> token_by_token(node_index p, tensor<T> x, const window&, bool transposed);
  tensor<T> retimed(node_index p, tensor<T> x, const window&, bool transposed);
  tensor<T> normalised(const node&, tensor<T> x, const window&, bool transposed);
  tensor<T> row_factors(const node&, const window&);
  tensor<T> with_tokens(tensor<T> x, const window&);
  tensor<T> stored_along(tensor<T> x, const extents& size);
  tensor<T> together(const tensor<T>& a, const tensor<T>& b, const tensor<T>* to = nullptr);
  tensor<T> with_carried(const tensor<T>& x, std::size_t reach, bool before);
  template <class Run>
  tensor<T> beside_carried(const tensor<T>& x, std::size_t reach, bool before, const tensor<T>* to, const Run& run);
  void needs_all_tokens(const node&, const window&) const;
  std::size_t tokens_at_once(const window&, std::size_t usual = token_block) const;

  engine<T>& whole_;
  const workspace& g_;
  const environment<T>& env_;
  const kernels<T>& k_;
  shapes<T>& shapes_;
  arena<T> arena_;
  carried<T>* carry_;
  std::vector<tensor<T>> read_, read_before_;  // streams stored whole of which this window and the one before was read
  remembered<T> own_;                          // shared streams of the windows that are being evaluated
  /// The same, of all evaluations of a query.
  remembered_by_all<T>* const with_others_;
};

template <class T>
std::size_t evaluation<T>::tokens_at_once(const window& w, std::size_t usual) const {
  return k_.has_own_memory ? w.tokens() : usual;
}

}  // namespace alphaform
