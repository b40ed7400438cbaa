// The scores of a chunk of one head, and its rows that read and write the state. With one decay for all states they are
// a product of matrices, then weighted. Otherwise decays go into the factors of the product, relative to the middle of
// the chunk's decay; where that would overflow, relative to the middle token of halves and quarters of the chunk, and
// pair by pair in the blocks of 16 tokens that are left. No exponent is positive but in the first case.
#include <alphaform/backends/cpu/heads/streams-inl.hpp>
#include <alphaform/backends/cpu/simd/exact_sum-inl.hpp>

#if defined(ALPHAFORM_CPU_SIMD_HEAD_SCORES_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef ALPHAFORM_CPU_SIMD_HEAD_SCORES_INL
#undef ALPHAFORM_CPU_SIMD_HEAD_SCORES_INL
#else
#define ALPHAFORM_CPU_SIMD_HEAD_SCORES_INL
#endif

HWY_BEFORE_NAMESPACE();
namespace alphaform::cpu::HWY_NAMESPACE {

/// scores[i, j] = left_i right_j for rows [i0, i1) and columns [j0, j1) of those that some row of their tile sees.
HWY_INLINE void score_products(const head_chunk& c, std::size_t states, const float* left, const float* right,
                               std::size_t i0, std::size_t i1, std::size_t j0, std::size_t j1) {
  const lanes d;
  const std::size_t wide = tile_columns();
  for (std::size_t j = j0; j < j1; j += wide) {
    transpose(d, right + j * c.step, c.step, std::min(wide, j1 - j), states, c.transposed, wide);
    for (std::size_t i = i0; i < i1; i += tile_rows) {
      if (i + tile_rows <= j) continue;
      const factors f{left + i * c.step, c.step, 1, c.transposed, wide, states};
      tile(std::min(tile_rows, i1 - i), &f, &f + 1, [=](std::size_t r, auto first, auto second) HWY_ATTR {
        float* row = c.scores + (i + r) * score_step + j;
        hn::StoreU(first, d, row);
        hn::StoreU(second, d, row + wide / 2);
      });
    }
  }
}

/// The rows of y = those of x, times e^(sum of the logs of [begin, i + offset)) for i in [begin, end).
HWY_INLINE void decay_forward(const head_chunk& c, const float* x, std::size_t offset, std::size_t begin,
                              std::size_t end, std::size_t n, float* y) {
  const lanes d;
  for (std::size_t k = 0; k < n; k += hn::Lanes(d)) {
    auto sum = hn::Zero(d);
    for (std::size_t i = begin; i < end; ++i) {
      const std::size_t at = i * c.step + k;
      const auto after = hn::Add(sum, hn::LoadU(d, c.logs + at));
      hn::StoreU(hn::Mul(hn::LoadU(d, x + at), Exp(d, offset == 1 ? after : sum)), d, y + at);
      sum = after;
    }
  }
}
/// The same with the logs of [j + offset, end).
HWY_INLINE void decay_backward(const head_chunk& c, const float* x, std::size_t offset, std::size_t begin,
                               std::size_t end, std::size_t n, float* y) {
  const lanes d;
  for (std::size_t k = 0; k < n; k += hn::Lanes(d)) {
    auto sum = hn::Zero(d);
    for (std::size_t j = end; j-- > begin;) {
      const std::size_t at = j * c.step + k;
      const auto before = hn::Add(sum, hn::LoadU(d, c.logs + at));
      hn::StoreU(hn::Mul(hn::LoadU(d, x + at), Exp(d, offset == 1 ? sum : before)), d, y + at);
      sum = before;
    }
  }
}

/// Scores within [begin, end) pair by pair: each token's write, decayed step by step.
HWY_INLINE void score_pairs(const head& p, const head_chunk& c, const float* decays, std::size_t begin,
                            std::size_t end) {
  const lanes d;
  float* const w = c.transposed;
  for (std::size_t j = begin; j < end; ++j) {
    std::copy_n(c.raw_writes + j * c.step, c.step, w);
    for (std::size_t i = j + p.strict(); i < end; ++i) {
      const float* q = c.raw_reads + i * c.step;
      if (i > j + p.strict()) {
        const float* a = decays + (i + p.read() - 1) * c.step;
        for (std::size_t k = 0; k < p.states; k += hn::Lanes(d))
          hn::StoreU(hn::Mul(hn::LoadU(d, w + k), hn::LoadU(d, a + k)), d, w + k);
      }
      auto sum = hn::Zero(d);
      for (std::size_t k = 0; k < p.states; k += hn::Lanes(d))
        sum = hn::MulAdd(hn::LoadU(d, w + k), hn::LoadU(d, q + k), sum);
      c.scores[i * score_step + j] = hn::GetLane(hn::SumOfLanes(d, sum));
    }
  }
}

/// Between the two halves of [begin, end), and within each half down to 16 tokens.
HWY_INLINE void score_halves(const head& p, const head_chunk& c, std::size_t count) {
  const lanes d;
  for (std::size_t size = chunk_tokens; size >= 32; size /= 2)
    for (std::size_t begin = 0; begin + size / 2 < count; begin += size) {
      const std::size_t middle = begin + size / 2, end = std::min(count, begin + size);
      decay_backward(c, c.raw_writes, p.written(), begin, middle, p.states, c.right);
      decay_forward(c, c.raw_reads, p.read(), middle, end, p.states, c.left);
      score_products(c, p.states, c.left, c.right, middle, end, begin, middle);
    }
  for (std::size_t i = 0; i < count; ++i)
    for (std::size_t k = i * c.step; k < i * c.step + p.states; k += hn::Lanes(d))
      hn::StoreU(Exp(d, hn::LoadU(d, c.logs + k)), d, c.right + k);
  for (std::size_t begin = 0; begin < count; begin += 16)
    score_pairs(p, c, c.right, begin, std::min(count, begin + 16));
}

/// A sum and what its rounding lost: where a decay is the same at every token, so is what is lost.
template <class V>
struct running_sum final {
  V sum, lost;

  HWY_INLINE void add(V x) {
    const two_floats<V> next = ExactSum(sum, x);
    lost = hn::Add(lost, next.low);
    sum = next.high;
  }
};

/// e^s and e^-s for a sum s between -69 and 69.
template <class V>
struct exponentials final {
  V of_sum, of_negative;
  HWY_INLINE explicit exponentials(const running_sum<V>& s) {
    const lanes d;
    const V e = Exp(d, s.sum);
    of_sum = hn::MulAdd(e, s.lost, e);
#if HWY_TARGET == HWY_AVX3
    // A step of Newton on an approximation is faster than another exponential.
    const V close = hn::ApproximateReciprocal(of_sum), rest = hn::NegMulAdd(of_sum, close, hn::Set(d, 1.0f));
    of_negative = hn::MulAdd(close, rest, close);
#else
    const V f = Exp(d, hn::Neg(s.sum));
    of_negative = hn::NegMulAdd(f, s.lost, f);
#endif
  }
};

/// One product with decays relative to the middle of the chunk's, whose logs are `total`.
HWY_INLINE void score_at_once(const head& p, const head_chunk& c, std::size_t count, const float* total,
                              const float* lost) {
  const lanes d;
  for (std::size_t k = 0; k < p.states; k += hn::Lanes(d)) {
    const auto half = hn::Mul(hn::LoadU(d, total + k), hn::Set(d, 0.5f)), from_begin = Exp(d, half);
    const auto to_end = hn::MulAdd(from_begin, hn::LoadU(d, lost + k), from_begin);
    running_sum<hn::Vec<lanes>> sum{hn::Neg(half), hn::Zero(d)};
    exponentials<hn::Vec<lanes>> before(sum);
    for (std::size_t i = 0; i < count; ++i) {
      const std::size_t at = i * c.step + k;
      sum.add(hn::LoadU(d, c.logs + at));
      const exponentials<hn::Vec<lanes>> after(sum);
      const auto read = hn::Mul(hn::LoadU(d, c.raw_reads + at), p.read() == 1 ? after.of_sum : before.of_sum);
      const auto write =
          hn::Mul(hn::LoadU(d, c.raw_writes + at), p.written() == 1 ? after.of_negative : before.of_negative);
      hn::StoreU(read, d, c.left + at);
      hn::StoreU(write, d, c.right + at);
      hn::StoreU(hn::Mul(read, from_begin), d, c.reads + at);
      hn::StoreU(hn::Mul(write, to_end), d, c.writes + at);
      before = after;
    }
  }
  score_products(c, p.states, c.left, c.right, 0, count, 0, count);
}

/// `count` tokens from `first` on, every state with its own decay.
HWY_INLINE void prepare_by_state(const head& p, const head_chunk& c, std::size_t first, std::size_t count) {
  const lanes d;
  constexpr float most = 69;  // 100 ln 2: exponents to 50 either way leave room for the numbers themselves
  for (std::size_t i = 0; i < count; ++i) {
    p.reader.row(first + i, p.states, 1, c.raw_reads + i * c.step);
    p.writer.row(first + i, p.states, 1, c.raw_writes + i * c.step);
    p.decay.row(first + i, p.states, 1, c.logs + i * c.step);
    to_logs(p.logarithmic, p.states, c.logs + i * c.step);
  }
  float *const total = c.kept, *const lost = c.added;
  auto strongest = hn::Zero(d);
  for (std::size_t k = 0; k < p.states; k += hn::Lanes(d)) {
    running_sum<hn::Vec<lanes>> sum{hn::Zero(d), hn::Zero(d)};
    for (std::size_t i = 0; i < count; ++i) sum.add(hn::LoadU(d, c.logs + i * c.step + k));
    hn::StoreU(sum.sum, d, total + k);
    hn::StoreU(sum.lost, d, lost + k);
    strongest = hn::Min(strongest, sum.sum);
  }
  if (hn::AllTrue(d, hn::Gt(strongest, hn::Set(d, -most)))) {
    score_at_once(p, c, count, total, lost);
  } else {
    decay_forward(c, c.raw_reads, p.read(), 0, count, p.states, c.reads);
    decay_backward(c, c.raw_writes, p.written(), 0, count, p.states, c.writes);
    score_halves(p, c, count);
  }
  for (std::size_t i = 0; i < count; ++i)
    std::fill_n(c.scores + i * score_step + i + 1 - p.strict(), tile_rows + 1, 0.0f);
  split_decay(total, p.states, c.kept, c.added);
}

/// Sums of logs from the chunk's beginning: before each token and after the last. A decay that float rounds to 0 is
/// counted instead, as differences of sums could not undo it.
struct log_sums final {
  double sum[chunk_tokens + 1];
  std::size_t resets[chunk_tokens + 1];

  /// The log of the decay from one place to a later one.
  HWY_INLINE float between(std::size_t from, std::size_t to) const {
    return resets[from] == resets[to] ? static_cast<float>(sum[to] - sum[from])
                                      : -std::numeric_limits<float>::infinity();
  }
};

HWY_INLINE log_sums sums_of(const head& p, std::size_t first, std::size_t count) {
  HWY_ALIGN float logs[chunk_tokens + 16] = {};
  for (std::size_t i = 0; i < count; ++i) p.decay.row(first + i, 1, 1, logs + i);
  to_logs(p.logarithmic, count, logs);
  log_sums s;
  s.sum[0] = 0;
  s.resets[0] = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const bool reset = logs[i] < -104;
    s.sum[i + 1] = reset ? s.sum[i] : s.sum[i] + static_cast<double>(logs[i]);
    s.resets[i + 1] = s.resets[i] + reset;
  }
  return s;
}

/// The same with one decay for all states.
HWY_INLINE void prepare_by_token(const head& p, const head_chunk& c, std::size_t first, std::size_t count) {
  const lanes d;
  const log_sums s = sums_of(p, first, count);
  // what lies before a token as two floats, whose differences are as exact as a float is
  HWY_ALIGN float high[score_step] = {}, low[score_step] = {}, to_read[score_step] = {}, to_end[score_step] = {};
  for (std::size_t j = 0; j < count; ++j) {
    const double sum = s.sum[j + p.written()];
    high[j] = static_cast<float>(sum);
    low[j] = static_cast<float>(sum - static_cast<double>(high[j]));
    to_read[j] = s.between(0, j + p.read());
    to_end[j] = s.between(j + p.written(), count);
  }
  for (std::size_t j = 0; j < count; j += hn::Lanes(d)) {
    hn::StoreU(Exp(d, hn::LoadU(d, to_read + j)), d, to_read + j);
    hn::StoreU(Exp(d, hn::LoadU(d, to_end + j)), d, to_end + j);
  }
  for (std::size_t i = 0; i < count; ++i) {
    p.reader.row(first + i, p.states, 1, c.raw_reads + i * c.step);
    p.reader.row(first + i, p.states, to_read[i], c.reads + i * c.step);
    p.writer.row(first + i, p.states, 1, c.raw_writes + i * c.step);
    p.writer.row(first + i, p.states, to_end[i], c.writes + i * c.step);
  }
  score_products(c, p.states, c.raw_reads, c.raw_writes, 0, count, 0, count);
  std::size_t since = 0;  // the first token that no reset hides
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t at = i + p.read();
    while (since <= i && s.resets[std::min(since + p.written(), at)] != s.resets[at]) ++since;
    const auto h = hn::Set(d, static_cast<float>(s.sum[at]));
    const auto l = hn::Set(d, static_cast<float>(s.sum[at] - static_cast<double>(static_cast<float>(s.sum[at]))));
    const auto begin = hn::Set(d, static_cast<float>(since)), end = hn::Set(d, static_cast<float>(i + 1 - p.strict()));
    for (std::size_t j = 0; j <= i + tile_rows; j += hn::Lanes(d)) {
      const auto place = hn::Iota(d, static_cast<float>(j));
      const auto log = hn::Add(hn::Sub(h, hn::LoadU(d, high + j)), hn::Sub(l, hn::LoadU(d, low + j)));
      float* const score = c.scores + i * score_step + j;
      const auto seen = hn::And(hn::Ge(place, begin), hn::Lt(place, end));
      hn::StoreU(hn::IfThenElseZero(seen, hn::Mul(hn::LoadU(d, score), Exp(d, log))), d, score);
    }
  }
  std::fill_n(c.kept, c.step, s.between(0, count));
  split_decay(c.kept, p.states, c.kept, c.added);
}

}  // namespace alphaform::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
