// One head of a recurrence whose channels share decay, write and read. A chunk of up to 64 tokens is
//   y_i = sum_{j <= i} A_ij x_j + r_i S,   S <- diag(a) S + sum_j w_j' x_j,
// with A the scores, r the rows that read the state S before the chunk, and w those that write to the one after it. The
// adjoint is the same over reversed tokens, with write and read exchanged and another place of each token's decay.
#include <algorithm>
#include <alphaform/backends/cpu/products/products-inl.hpp>
#include <alphaform/backends/cpu/simd/math-inl.hpp>
#include <cmath>
#include <cstddef>
#include <optional>

#if defined(ALPHAFORM_CPU_SIMD_HEAD_STREAMS_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef ALPHAFORM_CPU_SIMD_HEAD_STREAMS_INL
#undef ALPHAFORM_CPU_SIMD_HEAD_STREAMS_INL
#else
#define ALPHAFORM_CPU_SIMD_HEAD_STREAMS_INL
#endif

HWY_BEFORE_NAMESPACE();
namespace alphaform::cpu::HWY_NAMESPACE {

constexpr std::size_t chunk_tokens = 64;
/// Between rows of scores: room for the zeros beyond the last column.
constexpr std::size_t score_step = chunk_tokens + 16;

/// A factored stream of one head, in the order in which its tokens are taken.
struct head_stream final {
  const float *u, *v;
  std::ptrdiff_t u_step, v_step, state_step;

  /// y[0, n) = scale times the row of one token.
  HWY_INLINE void row(std::size_t token, std::size_t n, float scale, float* y) const {
    const auto t = static_cast<std::ptrdiff_t>(token);
    const float* from = v + t * v_step;
    const float factor = scale * u[t * u_step];
    const lanes d;
    std::size_t k = 0;
    if (state_step == 0) {
      const auto all = hn::Set(d, factor * *from);
      for (; k + hn::Lanes(d) <= n; k += hn::Lanes(d)) hn::StoreU(all, d, y + k);
    } else if (state_step == 1) {
      for (; k + hn::Lanes(d) <= n; k += hn::Lanes(d))
        hn::StoreU(hn::Mul(hn::Set(d, factor), hn::LoadU(d, from + k)), d, y + k);
    }
    for (; k < n; ++k) y[k] = factor * from[static_cast<std::ptrdiff_t>(k) * state_step];
  }
};

/// What happens to the state h at a token: h <- a h, h <- h + w x, y = r h, in this or another order.
enum class turn { decay_write_read, read_decay_write, write_read_decay };

struct head final {
  head_stream decay, reader, writer;  ///< read and write, or write and read of the adjoint
  std::optional<head_stream> bonus;
  const float* x;
  float *h, *y;
  std::ptrdiff_t x_step, x_chan, y_step, y_chan;
  std::size_t h_chan, tokens, channels, states;
  bool logarithmic;
  bool one_decay;  ///< for all states
  turn order;

  /// Token i reads what token j wrote if j <= i, or j < i if strict, with the decays of [j + written(), i + read()).
  bool strict() const { return order == turn::read_decay_write; }
  std::size_t written() const { return order == turn::write_read_decay ? 0 : 1; }
  std::size_t read() const { return order == turn::decay_write_read ? 1 : 0; }
};

/// What the chunk's products take, with rows `step` apart.
struct head_chunk final {
  std::size_t step;       ///< states, rounded up; not a power of two, so that rows fall on different cache lines
  float *reads, *writes;  ///< [token, state], as above: decayed from the chunk's beginning, to its end
  float* scores;          ///< [token, score_step]; 0 above the diagonal for as many columns as a tile has rows
  float *kept, *added;    ///< [state]: S <- kept S + (added S + ...)
  float *raw_reads, *raw_writes, *logs, *left, *right, *transposed;
};

/// The two factors of a state's decay log a: expm1 where a is close to 1, as rounding a would be the same error at
/// every step; and without the difference of large numbers where it is not.
HWY_INLINE void split_decay(const float* log, std::size_t n, float* kept, float* added) {
  const lanes d;
  const auto zero = hn::Zero(d), one = hn::Set(d, 1.0f);
  for (std::size_t k = 0; k < n; k += hn::Lanes(d)) {
    const auto l = hn::LoadU(d, log + k);
    const auto close = hn::Gt(l, hn::Set(d, -0.6931f));
    hn::StoreU(hn::IfThenElse(close, one, zero), d, kept + k);
    hn::StoreU(hn::IfThenElse(close, Expm1(d, l), Exp(d, l)), d, added + k);
  }
}

/// logs[0, n) from what the decay's stream holds.
HWY_INLINE void to_logs(bool logarithmic, std::size_t n, float* x) {
  if (logarithmic) return;
  const lanes d;
  for (std::size_t k = 0; k < n; k += hn::Lanes(d)) hn::StoreU(Log1p(d, hn::LoadU(d, x + k)), d, x + k);
}

}  // namespace alphaform::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
