// Every pass over the state h [state, channel] does all that a token needs at once: the transition with the correction
// w_c = q . h_c that the pass before has measured, the write, the read and the probe of the next transition,
//   h <- h + (a - 1) h + p w + b x,  y = c . h,  w = q . h.
#ifndef ALPHAFORM_BACKENDS_CPU_RANK_ONE_ROWS
#define ALPHAFORM_BACKENDS_CPU_RANK_ONE_ROWS
#include <cstddef>
#include <cstdint>

namespace alphaform::cpu {
namespace {

/// Rows that are multiples of each other are gone through once: b and p (a delta rule's beta k and -beta k), or in the
/// transpose what reads and what probes.
enum class shared : std::uint8_t { nothing, writes, reads };

constexpr std::size_t passes_at_once = 8;  // their rows and a tile of the state stay in the first-level cache

/// passes_at_once rows of each kind, `row` numbers apart, and the weights of rows that are shared.
struct packed final {
  float *change, *correct, *write, *read, *probe;
  float first_weight[passes_at_once], second_weight[passes_at_once];  // of the correction or probe; of write or read
  std::size_t row;
};

}  // namespace
}  // namespace alphaform::cpu
#endif

#if defined(ALPHAFORM_BACKENDS_CPU_RANK_ONE_PASSES_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef ALPHAFORM_BACKENDS_CPU_RANK_ONE_PASSES_INL
#undef ALPHAFORM_BACKENDS_CPU_RANK_ONE_PASSES_INL
#else
#define ALPHAFORM_BACKENDS_CPU_RANK_ONE_PASSES_INL
#endif
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace alphaform::cpu {
namespace HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;
using lanes_of = hn::ScalableTag<float>;
using vec = hn::Vec<lanes_of>;
constexpr lanes_of d;

/// The entries of a row that one pass uses: a vector of the state, or one entry for a vector of channels.
template <bool AlongState>
HWY_INLINE vec row_at(const float* row) {
  if constexpr (AlongState)
    return hn::Load(d, row);
  else
    return hn::Set(d, *row);
}

/// A tile of the state: [state, W vectors of channels], or W channels whose states are `row` numbers apart.
struct tile final {
  float* h;
  std::size_t row;
  float* w;  // carried from pass to pass
  const float* x;
  float* y;
  std::size_t token;  // from the x, y of a pass to those of the next
};

template <bool AlongState>
HWY_INLINE vec column_at(const float* p, std::size_t k) {
  if constexpr (AlongState)
    return hn::Set(d, p[k]);
  else
    return hn::Load(d, p + k * hn::Lanes(d));
}
template <bool AlongState>
HWY_INLINE void put_column(vec sum, float* p, std::size_t k) {
  if constexpr (AlongState)
    p[k] = hn::GetLane(hn::SumOfLanes(d, sum));
  else
    hn::Store(sum, d, p + k * hn::Lanes(d));
}

/// One vector of the state through one pass. The two sums are of the read and of the probe.
template <bool Decays, shared Shared>
HWY_INLINE void step(float* HWY_RESTRICT h, vec change, vec p, vec b, vec c, vec q, vec w, vec x, vec& y, vec& next) {
  vec state = hn::Load(d, h);
  if constexpr (Decays) state = hn::MulAdd(change, state, state);
  if constexpr (Shared != shared::writes) state = hn::MulAdd(p, w, state);
  state = hn::MulAdd(b, x, state);
  hn::Store(state, d, h);
  y = hn::MulAdd(c, state, y);
  if constexpr (Shared != shared::reads) next = hn::MulAdd(q, state, next);
}

template <bool AlongState, int W, bool Decays, shared Shared>
void run(const packed& rows, std::size_t count, std::size_t states, tile at) {
  const std::size_t lanes = hn::Lanes(d), entries = AlongState ? lanes : 1;
  const std::size_t next_entry = AlongState ? lanes : W * lanes, next_vector = AlongState ? at.row : lanes;
  for (std::size_t s = 0; s < count; ++s) {
    const std::size_t first = s * rows.row;
    const float *change = rows.change + first, *p = rows.correct + first, *b = rows.write + first,
                *c = rows.read + first, *q = rows.probe + first;
    const vec first_weight = hn::Set(d, rows.first_weight[s]), second_weight = hn::Set(d, rows.second_weight[s]);
    const auto written = [&](std::size_t k, vec w) HWY_ATTR {
      const vec x = column_at<AlongState>(at.x + s * at.token, k);
      return Shared == shared::writes ? hn::MulAdd(first_weight, w, hn::Mul(second_weight, x)) : x;
    };
    vec w0 = column_at<AlongState>(at.w, 0), w1 = w0, w2 = w0, w3 = w0;
    if constexpr (W > 1) w1 = column_at<AlongState>(at.w, 1);
    if constexpr (W > 2) w2 = column_at<AlongState>(at.w, 2), w3 = column_at<AlongState>(at.w, 3);
    vec x0 = written(0, w0), x1 = x0, x2 = x0, x3 = x0;
    if constexpr (W > 1) x1 = written(1, w1);
    if constexpr (W > 2) x2 = written(2, w2), x3 = written(3, w3);
    const vec zero = hn::Zero(d);
    vec y0 = zero, y1 = zero, y2 = zero, y3 = zero, n0 = zero, n1 = zero, n2 = zero, n3 = zero;
    float* h = at.h;
    for (std::size_t n = 0; n < states; n += entries, h += next_entry) {
      const vec a_n = Decays ? row_at<AlongState>(change + n) : zero;
      const vec p_n = Shared != shared::writes ? row_at<AlongState>(p + n) : zero;
      const vec b_n = row_at<AlongState>(b + n), c_n = row_at<AlongState>(c + n);
      const vec q_n = Shared != shared::reads ? row_at<AlongState>(q + n) : zero;
      step<Decays, Shared>(h, a_n, p_n, b_n, c_n, q_n, w0, x0, y0, n0);
      if constexpr (W > 1) step<Decays, Shared>(h + next_vector, a_n, p_n, b_n, c_n, q_n, w1, x1, y1, n1);
      if constexpr (W > 2) {
        step<Decays, Shared>(h + 2 * next_vector, a_n, p_n, b_n, c_n, q_n, w2, x2, y2, n2);
        step<Decays, Shared>(h + 3 * next_vector, a_n, p_n, b_n, c_n, q_n, w3, x3, y3, n3);
      }
    }
    const auto finish = [&](std::size_t k, vec y, vec next) HWY_ATTR {
      if constexpr (Shared == shared::reads) {
        next = hn::Mul(first_weight, y);
        y = hn::Mul(second_weight, y);
      }
      put_column<AlongState>(y, at.y + s * at.token, k);
      put_column<AlongState>(next, at.w, k);
    };
    finish(0, y0, n0);
    if constexpr (W > 1) finish(1, y1, n1);
    if constexpr (W > 2) finish(2, y2, n2), finish(3, y3, n3);
  }
}

using runner = void (*)(const packed&, std::size_t, std::size_t, tile);
template <bool AlongState, int W>
runner choose(bool decays, shared s) {
  constexpr runner table[2][3] = {{run<AlongState, W, false, shared::nothing>,
                                   run<AlongState, W, false, shared::writes>, run<AlongState, W, false, shared::reads>},
                                  {run<AlongState, W, true, shared::nothing>, run<AlongState, W, true, shared::writes>,
                                   run<AlongState, W, true, shared::reads>}};
  return table[decays][static_cast<std::size_t>(s)];
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace alphaform::cpu
HWY_AFTER_NAMESPACE();
#endif
