// One pass over all tokens for a tile of channels and some of their states: forward, leaving the states before every
// block of tokens, and then from the last block to the first.
#if defined(ALPHAFORM_CPU_GRADIENT_PASS_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef ALPHAFORM_CPU_GRADIENT_PASS_INL
#undef ALPHAFORM_CPU_GRADIENT_PASS_INL
#else
#define ALPHAFORM_CPU_GRADIENT_PASS_INL
#endif

#include <alphaform/backends/cpu/gradient/block-inl.hpp>

HWY_BEFORE_NAMESPACE();
namespace alphaform::cpu::HWY_NAMESPACE {

class gradient_pass final {
 public:
  gradient_pass(const gradient_window& w, const gradient_plan& plan, float* memory, const pass_part& part)
      : w_(w), plan_(plan), memory_(memory), part_(part), block_(w, plan, memory, part) {}

  void run() {
    const std::size_t blocks = gradient_plan::blocks(w_), all = part_.vectors() * plan_.states * width;
    block_.begin_pass();
    for (const planned_sum& s : plan_.sums)
      if (s.over_tokens())
        for (const std::size_t at : {s.at, s.lost}) std::fill_n(memory_ + at, numbers_of(s), 0.0f);

    std::fill_n(checkpoint(0), all, 0.0f);
    std::fill_n(memory_ + plan_.low, all, 0.0f);
    for (std::size_t b = 0; b + 1 < blocks; ++b) forward(b);
    std::fill_n(checkpoint(blocks), all, 0.0f);
    std::fill_n(memory_ + plan_.low, all, 0.0f);
    for (std::size_t b = blocks; b-- > 0;) backward(b, checkpoint(blocks));
    for (const planned_sum& s : plan_.sums)
      if (s.over_tokens()) add_over_tokens(s);
  }

 private:
  float* checkpoint(std::size_t block) const {
    return memory_ + plan_.checkpoints + block * plan_.vectors * plan_.states * width;
  }
  std::size_t numbers_of(const planned_sum& s) const {
    return part_.vectors() * width * (s.over_states() ? 1 : plan_.states);
  }
  template <class F>
  void each_group(F f) const {
    for (std::size_t n = 0, some = 0, number = 0; n < part_.states; n += some)
      f(number++, n, some = states_at_once(part_.states - n));
  }

  static void fetch(const float* states, std::size_t some) {
    for (std::size_t k = 0; k < some; ++k) __builtin_prefetch(states + k * width);
  }

  /// Where a scan's state is: high + low, which it leaves in the same way.
  struct carried final {
    const float* high;
    float *next, *low;
  };
  template <class F>
  void carry(gradient_steps& s, std::size_t vector, std::size_t n, std::size_t some, const carried& c, F scan) const {
    const lanes d;
    HWY_ALIGN float state[most_states * width], base[most_states * width];
    block_.choose_bases(vector, n, some, c.high, c.low, state, base);
    s.state = state, s.base = base;
    scan();
    for (std::size_t j = 0; j < some * width; j += width) {
      const auto sum = ExactSum(hn::Load(d, base + j), hn::Load(d, state + j));
      hn::Store(sum.high, d, c.next + j);
      hn::Store(sum.low, d, c.low + j);
    }
  }

  void forward(std::size_t b) {
    block_.begin(b, false);
    each_group([&](std::size_t part, std::size_t n, std::size_t some) {
      for (std::size_t v = 0; v < part_.vectors(); ++v) {
        const std::size_t at = (v * plan_.states + n) * width;
        gradient_steps s = block_.steps(v, n, some, false);
        block_.look_ahead(part, b + 1, v, false, s.ahead);
        fetch(checkpoint(b + 2) + at, some);
        const decays from = block_.source(v, n, some);
        carry(s, v, n, some, {checkpoint(b) + at, checkpoint(b + 1) + at, memory_ + plan_.low + at},
              [&] { scan_forward(some, from, s); });
      }
    });
  }

  void backward(std::size_t b, float* z) {
    block_.begin(b, true);
    const std::size_t before = b > 0 ? b - 1 : 0;
    each_group([&](std::size_t part, std::size_t n, std::size_t some) {
      for (std::size_t v = 0; v < part_.vectors(); ++v) {
        const std::size_t at = (v * plan_.states + n) * width;
        gradient_steps s = block_.steps(v, n, some, true);
        block_.look_ahead(2 * part, before, v, true, s.ahead);
        const decays from = block_.source(v, n, some);
        fetch(checkpoint(before) + at, some);
        std::copy_n(checkpoint(b) + at, some * width, s.h);
        scan_again(some, from, s);
        block_.look_ahead(2 * part + 1, before, v, true, s.ahead);
        carry(s, v, n, some, {z + at, z + at, memory_ + plan_.low + at},
              [&] { scan_backward(some, from, w_.exclusive, s); });
        add_sums(s, v, n, some);
      }
      for (const planned_sum& s : plan_.sums)
        if (is_over_channels(s)) add_over_channels(s, n, some);
    });
    for (const planned_sum& s : plan_.sums)
      if (s.over_states()) add_total(s);
  }

  static bool is_over_channels(const planned_sum& s) {
    return s.over_channels() && !s.over_tokens() && !s.over_states();
  }
  summand summand_of(state_product of, const gradient_steps& s) const {
    using kind = state_product;
    using form = summand::kind;
    const float *z = s.power, *before = s.h, *after = s.h + s.h_step;
    switch (of) {
      case kind::written:
        return {form::one, z, nullptr, {}};
      case kind::decayed:
        return {form::product, z, s.decayed, {}};
      case kind::kept:
        return {form::product, z, before, {}};
      case kind::read:
        if (!plan_.keeps_states) return {form::moved, s.decayed, s.x, s.write};
        return {form::one, after, nullptr, {}};
      default:
        return {form::one, before, nullptr, {}};
    }
  }

  void add_sums(const gradient_steps& s, std::size_t v, std::size_t n, std::size_t some) const {
    for (const state_total& t : plan_.totals)
      sum_states(some, s.count, summand_of(t.of, s), block_.factor(t.factor, v, n, some), n == 0,
                 memory_ + t.at + v * line_steps * width);
    for (const planned_sum& p : plan_.sums) {
      if (p.over_states()) continue;
      const summand q = summand_of(p.is->of, s);
      const float* const u = block_.line(p.line, v);
      const state_factor factor = block_.factor(p.factor, v, n, some);
      const std::size_t at = (v * plan_.states + n) * width;
      if (p.over_tokens()) {
        sum_tokens(some, s.count, q, u, factor, memory_ + p.at + at, memory_ + p.lost + at);
        continue;
      }
      add_channels(some, s.count, q, u, factor, v == 0 || !p.over_channels(), memory_ + p.at);
      if (!p.over_channels()) add_each(p, v, n, some);
    }
  }

  float* result(const planned_sum& p, std::size_t i, std::size_t v, std::size_t n) const {
    return p.is->to + offset(p.is->token, block_.token(i)) + offset(p.is->chan, part_.first_channel + v * width) +
           offset(p.is->state, part_.first_state + n);
  }
  /// Is there nothing yet that the part's sums are added to?
  bool is_first(const planned_sum& p) const {
    return p.is->is_first && (!p.over_channels() || part_.first_channel == 0) &&
           (!p.over_states() || part_.first_state == 0);
  }
  /// A sum over nothing.
  void add_each(const planned_sum& p, std::size_t v, std::size_t n, std::size_t some) const {
    const state_factor f = block_.factor(p.factor, v, n, some);
    const bool first = is_first(p);
    const float* from = memory_ + p.at;
    for (std::size_t i = 0; i < block_.count(); ++i)
      for (std::size_t k = 0; k < some; ++k, from += width) {
        float* const to = result(p, i, v, n + k);
        const float by = f.wide ? 1.0f : f.data[i * f.step + k];
        for (std::size_t c = 0; c < part_.lanes_of(v); ++c) put(first, by * from[c], to[offset(p.is->chan, c)]);
      }
  }
  void add_over_channels(const planned_sum& p, std::size_t n, std::size_t some) const {
    const hn::CappedTag<float, 4> few;
    const state_factor f = block_.factor(p.factor, 0, n, some);
    const bool first = is_first(p);
    float* const sums = memory_ + plan_.row;
    sum_lanes(block_.count() * some, memory_ + p.at, sums);
    for (std::size_t i = 0; i < block_.count(); ++i) {
      float *const to = result(p, i, 0, n), *const from = sums + i * some;
      if (!f.wide)
        for (std::size_t k = 0; k < some; ++k) from[k] *= f.data[i * f.step + k];
      if (p.is->state == 1 && some % hn::Lanes(few) == 0)
        for (std::size_t k = 0; k < some; k += hn::Lanes(few)) {
          const auto sum = hn::LoadU(few, from + k);
          hn::StoreU(first ? sum : hn::Add(sum, hn::LoadU(few, to + k)), few, to + k);
        }
      else
        for (std::size_t k = 0; k < some; ++k) put(first, from[k], to[offset(p.is->state, k)]);
    }
  }
  void add_total(const planned_sum& p) const {
    const lanes d;
    const bool first = is_first(p);
    const float* const total = memory_ + plan_.totals[p.total].at;
    float *const sums = memory_ + plan_.row, *const by_lane = sums + in_fours(block_steps);
    if (p.over_channels()) std::fill_n(by_lane, in_fours(block_steps) * width, 0.0f);
    for (std::size_t v = 0; v < part_.vectors(); ++v) {
      const float *const u = block_.line(p.line, v), *const t = total + v * line_steps * width;
      vec over_tokens = hn::Zero(d);
      for (std::size_t i = 0; i < block_.count(); ++i) {
        const vec sum = hn::Mul(hn::Load(d, u + i * width), hn::Load(d, t + i * width));
        if (p.over_tokens())
          over_tokens = hn::Add(over_tokens, sum);
        else if (p.over_channels())
          hn::Store(hn::Add(hn::Load(d, by_lane + i * width), sum), d, by_lane + i * width);
        else
          put_lanes(first, sum, part_.lanes_of(v), result(p, i, v, 0), p.is->chan);
      }
      if (p.over_tokens()) add_exactly(over_tokens, memory_ + p.at + v * width, memory_ + p.lost + v * width);
    }
    if (p.over_tokens() || !p.over_channels()) return;
    sum_lanes(block_.count(), by_lane, sums);
    for (std::size_t i = 0; i < block_.count(); ++i) put(first, sums[i], *result(p, i, 0, 0));
  }
  static HWY_INLINE void put(bool first, float x, float& to) { to = first ? x : to + x; }
  static HWY_INLINE void put_lanes(bool first, vec sum, std::size_t count, float* to, std::ptrdiff_t step) {
    const lanes d;
    if (step == 1 && count == width) return hn::StoreU(first ? sum : hn::Add(sum, hn::LoadU(d, to)), d, to);
    HWY_ALIGN float numbers[width];
    hn::Store(sum, d, numbers);
    for (std::size_t c = 0; c < count; ++c) put(first, numbers[c], to[offset(step, c)]);
  }

  void add_over_tokens(const planned_sum& p) const {
    const bool first = is_first(p);
    const std::size_t states = p.over_states() ? 1 : part_.states, step = p.over_states() ? 1 : plan_.states;
    for (std::size_t n = 0; n < states; ++n) {
      double all = 0;
      for (std::size_t v = 0; v < part_.vectors(); ++v)
        for (std::size_t c = 0; c < part_.lanes_of(v); ++c) {
          const std::size_t k = (v * step + n) * width + c;
          const double sum = static_cast<double>(memory_[p.at + k]) + static_cast<double>(memory_[p.lost + k]);
          if (p.over_channels())
            all += sum;
          else
            put(first, static_cast<float>(sum),
                p.is->to[offset(p.is->chan, part_.first_channel + v * width + c) + state_offset(p, n)]);
        }
      if (p.over_channels()) put(first, static_cast<float>(all), p.is->to[state_offset(p, n)]);
    }
  }
  std::ptrdiff_t state_offset(const planned_sum& p, std::size_t n) const {
    return offset(p.is->state, part_.first_state + n);
  }

  const gradient_window& w_;
  const gradient_plan& plan_;
  float* memory_;
  pass_part part_;
  gradient_block block_;
};

}  // namespace alphaform::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
