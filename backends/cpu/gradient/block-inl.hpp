// A block of tokens of some channels and states: streams packed so that vectors of channels follow each other step by
// step, factors and decays where scans take them, and how slow the decays are.
#if defined(ALPHAFORM_CPU_GRADIENT_BLOCK_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef ALPHAFORM_CPU_GRADIENT_BLOCK_INL
#undef ALPHAFORM_CPU_GRADIENT_BLOCK_INL
#else
#define ALPHAFORM_CPU_GRADIENT_BLOCK_INL
#endif

#include <alphaform/backends/cpu/gradient/plan-inl.hpp>

HWY_BEFORE_NAMESPACE();
namespace alphaform::cpu::HWY_NAMESPACE {

struct pass_part final {
  std::size_t first_channel, channels, first_state, states;

  std::size_t vectors() const { return (channels + width - 1) / width; }
  std::size_t lanes_of(std::size_t vector) const { return std::min(width, channels - vector * width); }
};

class gradient_block final {
 public:
  gradient_block(const gradient_window& w, const gradient_plan& plan, float* memory, const pass_part& part)
      : w_(w), plan_(plan), memory_(memory), part_(part) {}

  std::size_t count() const { return count_; }
  std::size_t token(std::size_t i) const { return begin_ + i; }

  /// What is the same for all blocks.
  void begin_pass() {
    begin_ = 0, count_ = block_steps;
    for (const packed_line& l : plan_.lines)
      if (l.constant()) pack(l);
    for (const packed_factor& f : plan_.factors)
      if (f.constant() && !f.wide()) pack_narrow(f);
    for (std::size_t v = 0; v < part_.vectors(); ++v) {
      for (const packed_factor& f : plan_.factors)
        if (f.constant() && f.wide()) {
          float* const to = memory_ + f.at + v * plan_.states * width;
          load(f.v, 0, v, 0, part_.states, to);
          if (f.is_finite) each_vector(part_.states, to, [](vec x) HWY_ATTR { return finite(x); });
        }
      if (plan_.decays_shared || plan_.decays_vary) continue;
      float* const to = memory_ + plan_.rates + v * plan_.states * width;
      load(w_.decay.v, 0, v, 0, part_.states, to);
      each_vector(part_.states, to, [this](vec x) HWY_ATTR { return as_rate(x); });
      find_fastest(v);
    }
  }
  /// What scans take, or everything that sums take as well.
  void begin(std::size_t block, bool everything) {
    begin_ = block * block_steps, count_ = std::min(block_steps, w_.tokens - begin_);
    for (std::size_t k = 0; k < (everything ? plan_.lines.size() : gradient_plan::read_line); ++k)
      if (!plan_.lines[k].constant()) pack(plan_.lines[k]);
    for (std::size_t k = 0; k < plan_.factors.size(); ++k) {
      const packed_factor& f = plan_.factors[k];
      if ((everything || k == plan_.write_factor) && !f.constant() && !f.wide()) pack_narrow(f);
    }
    if (plan_.decays_shared)
      share_decays();
    else
      measure();
  }

  const float* line(std::size_t k, std::size_t vector) const {
    return memory_ + plan_.lines[k].at + vector * line_steps * width;
  }
  state_factor factor(std::size_t k, std::size_t vector, std::size_t n, std::size_t some) const {
    const packed_factor& f = plan_.factors[k];
    const float* const p = memory_ + f.at;
    if (!f.wide()) return {p + n * block_steps, some, false};
    if (f.constant()) return {p + (vector * plan_.states + n) * width, 0, true};
    return {p, some * width, true};
  }

  /// The scans of the states n ... of one vector; packs what changes with every step.
  gradient_steps steps(std::size_t vector, std::size_t n, std::size_t some, bool everything) const {
    for (std::size_t k = 0; plan_.varies_widely && k < plan_.factors.size(); ++k) {
      const packed_factor& f = plan_.factors[k];
      if ((everything || k == plan_.write_factor) && !f.constant() && f.wide()) pack_wide(f, vector, n, some);
    }
    const bool vary = plan_.decays_vary;
    if (vary && !plan_.decays_shared) pack_rates(vector, n, some);
    return {.count = count_,
            .u = line(gradient_plan::decay_line, vector),
            .x = line(gradient_plan::write_line, vector),
            .g = line(gradient_plan::read_line, vector),
            .rate = memory_ + plan_.rates + (vary ? 0 : (vector * plan_.states + n) * width),
            .rate_step = vary ? some * width : 0,
            .shared_power = memory_ + plan_.shared_power + n * block_steps,
            .shared_scale = memory_ + plan_.shared_scale + n * block_steps,
            .write = factor(plan_.write_factor, vector, n, some),
            .read = factor(plan_.read_factor, vector, n, some),
            .state = nullptr,
            .base = nullptr,
            .power = memory_ + plan_.power,
            .scale = memory_ + plan_.scale,
            .decayed = memory_ + plan_.decayed,
            .h = memory_ + plan_.h,
            .h_step = plan_.keeps_states ? some * width : 0,
            .ahead = {}};
  }

  /// Two rows a step of what another block takes of one vector, and of where results of this one go: pair number k.
  void look_ahead(std::size_t k, std::size_t block, std::size_t vector, bool everything, rows_ahead& rows) const {
    const std::size_t taken = everything ? plan_.streams.size() : plan_.forward_streams,
                      all = taken + (everything ? plan_.results.size() : 0);
    for (std::size_t j = 0; j < 2; ++j) {
      const std::size_t i = 2 * k + j;
      rows.row[j] = memory_, rows.step[j] = 0;
      if (i >= all) continue;
      const bool is_taken = i < taken;
      const strided& s = is_taken ? plan_.streams[i] : plan_.results[i - taken];
      rows.row[j] =
          s.data + offset(s.token, is_taken ? block * block_steps : begin_) + part_.first_channel + vector * width;
      rows.step[j] = s.token;
    }
  }

  /// For the decays of `steps`.
  decays source(std::size_t vector, std::size_t n, std::size_t some) const {
    const lanes d;
    if (plan_.decays_shared) return shared_split_ ? decays::shared_split : decays::shared;
    vec z = hn::Zero(d);
    if (plan_.decays_vary)
      for (std::size_t k = 0; k < some; ++k) z = hn::Max(z, changes(vector, n, k, some).longest);
    else
      z = hn::Mul(hn::Load(d, memory_ + plan_.longest + vector * width),
                  hn::Load(d, memory_ + plan_.fastest + (vector * plan_.states + n) * width));
    const auto within = [=](float bound) HWY_ATTR { return hn::AllTrue(d, hn::Le(z, hn::Set(d, bound))); };
    if (!w_.logarithmic) return within(0.5f) ? decays::near : decays::change;
    return within(0.75f) ? decays::few : within(2.5f) ? decays::some : decays::any;
  }
  /// States that decay little over the block are followed from where they are, the others from 0.
  void choose_bases(std::size_t vector, std::size_t n, std::size_t some, const float* high, const float* low,
                    float* state, float* base) const {
    const lanes d;
    const float little = w_.logarithmic ? 2.0f : 0.75f;  // what a quarter is left of
    for (std::size_t k = 0; k < some; ++k) {
      const vec sum =
          plan_.decays_shared ? hn::Set(d, memory_[plan_.shared_amount + n + k]) : changes(vector, n, k, some).amount;
      const auto is_slow = hn::Lt(sum, hn::Set(d, little));
      const vec h = hn::Load(d, high + k * width), rest = hn::Load(d, low + k * width);
      hn::Store(hn::IfThenElseZero(is_slow, h), d, base + k * width);
      hn::Store(hn::IfThenElse(is_slow, rest, hn::Add(h, rest)), d, state + k * width);
    }
  }

 private:
  template <class F>
  static HWY_INLINE void each_vector(std::size_t count, float* p, F f) {
    const lanes d;
    for (std::size_t k = 0; k < count * width; k += width) hn::Store(f(hn::Load(d, p + k)), d, p + k);
  }
  /// The decay's v, in powers of 2.
  vec as_rate(vec v) const { return w_.logarithmic ? finite(hn::Mul(v, hn::Set(lanes(), 1.44269504f))) : finite(v); }

  const float* entry(const strided& s, std::size_t i) const { return s.data + offset(s.token, begin_ + i); }
  const float* row(const strided& s, std::size_t i, float* buffer) const {
    return HWY_NAMESPACE::row(entry(s, i) + offset(s.chan, part_.first_channel), s.chan, part_.channels, buffer);
  }
  void pack(const packed_line& l) const {
    if (l.a.chan == 0)
      l.b.data == nullptr ? pack<true, false>(l) : pack<true, true>(l);
    else
      l.b.data == nullptr ? pack<false, false>(l) : pack<false, true>(l);
  }
  /// Lanes without a channel are 0, so that sums over lanes are sums over channels.
  template <bool RepeatedA, bool HasB>
  void pack(const packed_line& l) const {
    const lanes d;
    float* const buffer = memory_ + plan_.row;
    const std::size_t end = part_.channels / width * width, vector_step = line_steps * width;
    const auto last = hn::FirstN(d, part_.channels - end);
    for (std::size_t i = 0; i < count_; ++i) {
      const float* const a = RepeatedA ? entry(l.a, i) : row(l.a, i, buffer);
      const float* const b = HasB ? row(l.b, i, buffer + plan_.vectors * width) : a;
      const vec of_all = hn::Set(d, *a);
      const auto product = [=](std::size_t c) HWY_ATTR {
        const vec of_a = RepeatedA ? of_all : hn::LoadU(lanes(), a + c);
        return HasB ? hn::Mul(of_a, hn::LoadU(lanes(), b + c)) : of_a;
      };
      float* to = memory_ + l.at + i * width;
      for (std::size_t c = 0; c < end; c += width, to += vector_step) hn::Store(product(c), d, to);
      if (end < part_.channels) hn::Store(hn::IfThenElseZero(last, product(end)), d, to);
    }
  }
  /// The numbers of a group of states, without a call.
  static HWY_INLINE void copy_group(std::size_t some, const float* from, float* to) {
    const hn::CappedTag<float, 4> few;
    if (some == 1)
      *to = *from;
    else
      for (std::size_t k = 0; k < some; k += hn::Lanes(few)) hn::StoreU(hn::LoadU(few, from + k), few, to + k);
  }
  void pack_narrow(const packed_factor& f) {
    float* to = memory_ + f.at;
    for (std::size_t n = 0, some = 0; n < part_.states; n += some) {
      some = states_at_once(part_.states - n);
      to = memory_ + f.at + n * block_steps;
      for (std::size_t i = 0; i < count_; ++i, to += some) {
        const float* const from = entry(f.v, i) + offset(f.v.state, part_.first_state + n);
        if (f.v.state == 1)
          copy_group(some, from, to);
        else
          for (std::size_t k = 0; k < some; ++k) to[k] = from[offset(f.v.state, k)];
        if (f.is_finite)
          for (std::size_t k = 0; k < some; ++k)
            to[k] = std::clamp(to[k], std::numeric_limits<float>::lowest(), std::numeric_limits<float>::max());
      }
    }
  }
  /// The states n ... of a vector of channels at step i.
  void load(const strided& s, std::size_t i, std::size_t vector, std::size_t n, std::size_t some, float* to) const {
    const float* const from =
        entry(s, i) + offset(s.chan, part_.first_channel + vector * width) + offset(s.state, part_.first_state + n);
    const std::size_t channels = part_.lanes_of(vector);
    transpose(channels, some, from, s.chan, s.state, to, static_cast<std::ptrdiff_t>(width), 1);
    for (std::size_t k = 0; k < some; ++k) std::fill_n(to + k * width + channels, width - channels, 0.0f);
  }
  void pack_wide(const packed_factor& f, std::size_t vector, std::size_t n, std::size_t some) const {
    float* const to = memory_ + f.at;
    for (std::size_t i = 0; i < count_; ++i) load(f.v, i, vector, n, some, to + i * some * width);
    if (f.is_finite) each_vector(count_ * some, to, [](vec x) HWY_ATTR { return finite(x); });
  }
  void pack_rates(std::size_t vector, std::size_t n, std::size_t some) const {
    float* const to = memory_ + plan_.rates;
    for (std::size_t i = 0; i < count_; ++i) load(w_.decay.v, i, vector, n, some, to + i * some * width);
    each_vector(count_ * some, to, [this](vec x) HWY_ATTR { return as_rate(x); });
  }

  /// Sums and maxima of |u| over the block.
  void measure() {
    const lanes d;
    const vec finite_most = hn::Set(d, std::numeric_limits<float>::max());
    for (std::size_t v = 0; v < part_.vectors(); ++v) {
      const float* const u = line(gradient_plan::decay_line, v);
      vec sum = hn::Zero(d), most = sum;
      for (std::size_t i = 0; i < count_; ++i) {
        const vec size = hn::Min(hn::Abs(hn::Load(d, u + i * width)), finite_most);
        sum = hn::Add(sum, size), most = hn::Max(most, size);
      }
      hn::Store(sum, d, memory_ + plan_.amount + v * width);
      hn::Store(most, d, memory_ + plan_.longest + v * width);
    }
  }
  /// The largest rate of each group of states.
  void find_fastest(std::size_t vector) const {
    const lanes d;
    const std::size_t at = vector * plan_.states * width;
    for (std::size_t n = 0, some = 0; n < part_.states; n += some) {
      some = states_at_once(part_.states - n);
      vec most = hn::Zero(d);
      for (std::size_t k = n; k < n + some; ++k)
        most = hn::Max(most, hn::Abs(hn::Load(d, memory_ + plan_.rates + at + k * width)));
      hn::Store(most, d, memory_ + plan_.fastest + at + n * width);
    }
  }
  struct extent final {
    vec amount, longest;
  };
  /// Sum and maximum of what the decays of state n + k change, in powers of 2 if logarithmic.
  HWY_INLINE extent changes(std::size_t vector, std::size_t n, std::size_t k, std::size_t some) const {
    const lanes d;
    if (!plan_.decays_vary) {
      const vec r = hn::Abs(hn::Load(d, memory_ + plan_.rates + (vector * plan_.states + n + k) * width));
      return {hn::Mul(hn::Load(d, memory_ + plan_.amount + vector * width), r),
              hn::Mul(hn::Load(d, memory_ + plan_.longest + vector * width), r)};
    }
    const float *const u = line(gradient_plan::decay_line, vector), *const rates = memory_ + plan_.rates;
    vec sum = hn::Zero(d), most = sum;
    for (std::size_t i = 0; i < count_; ++i) {
      const vec z = hn::Abs(hn::Mul(finite(hn::Load(d, u + i * width)), hn::Load(d, rates + (i * some + k) * width)));
      sum = hn::Add(sum, z), most = hn::Max(most, z);
    }
    return {sum, most};
  }

  /// The decays of all channels, [state, step] of a group of states as factors are.
  void share_decays() {
    const lanes d;
    HWY_ALIGN float v[whole_vectors(most_at_once)] = {}, power[std::size(v)], scale[std::size(v)],
                    sum[std::size(v)] = {};
    vec most = hn::Zero(d);
    for (std::size_t i = 0; i < count_; ++i) {
      const float* const from = entry(w_.decay.v, i) + offset(w_.decay.v.state, part_.first_state);
      if (w_.decay.v.state == 1)
        for (std::size_t n = 0; n < part_.states; ++n) v[n] = from[n];
      else
        for (std::size_t n = 0; n < part_.states; ++n) v[n] = from[offset(w_.decay.v.state, n)];
      const vec u = finite(hn::Set(d, *entry(w_.decay.u, i)));
      for (std::size_t n = 0; n < part_.states; n += width) {
        const vec rate = as_rate(hn::Load(d, v + n)), z = hn::Mul(u, rate), size = hn::Abs(z);
        most = hn::Max(most, size);
        hn::Store(hn::Add(hn::Load(d, sum + n), size), d, sum + n);
        const split_decay a =
            w_.logarithmic ? decay<form::any>{d}.halves(u, rate) : decay_source<decays::change>::split_change(z);
        hn::Store(a.power, d, power + n);
        hn::Store(a.scale, d, scale + n);
      }
      for (std::size_t n = 0, some = 0; n < part_.states; n += some) {
        some = states_at_once(part_.states - n);
        const std::size_t to = n * block_steps + i * some;
        copy_group(some, power + n, memory_ + plan_.shared_power + to);
        copy_group(some, scale + n, memory_ + plan_.shared_scale + to);
      }
    }
    std::copy_n(sum, part_.states, memory_ + plan_.shared_amount);
    shared_split_ = !(hn::GetLane(hn::MaxOfLanes(d, most)) <= (w_.logarithmic ? 2.5f : 0.5f));
    if (shared_split_) return;
    float *const p = memory_ + plan_.shared_power, *const s = memory_ + plan_.shared_scale;
    for (std::size_t k = 0; k < part_.states * block_steps; ++k) p[k] = p[k] * s[k] + (s[k] - 1);
  }

  const gradient_window& w_;
  const gradient_plan& plan_;
  float* memory_;
  pass_part part_;
  std::size_t begin_ = 0, count_ = 0;
  bool shared_split_ = false;
};

}  // namespace alphaform::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
