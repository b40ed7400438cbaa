// What the sums of a window take, each thing once: products of streams, factors of states, sums over the states, and
// where all of them lie in a thread's memory.
#if defined(ALPHAFORM_CPU_GRADIENT_PLAN_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef ALPHAFORM_CPU_GRADIENT_PLAN_INL
#undef ALPHAFORM_CPU_GRADIENT_PLAN_INL
#else
#define ALPHAFORM_CPU_GRADIENT_PLAN_INL
#endif

#include <alphaform/backends/cpu/gradient/sums-inl.hpp>
#include <alphaform/backends/cpu/gradient/window.hpp>
#include <vector>

HWY_BEFORE_NAMESPACE();
namespace alphaform::cpu::HWY_NAMESPACE {

constexpr std::size_t block_steps = 16;              // buffers of a block stay in the first cache
constexpr std::size_t most_at_once = 16;             // states of a pass over all tokens
constexpr std::size_t most_vectors = 8;              // of channels in a pass
constexpr std::size_t line_steps = block_steps | 1;  // odd, as otherwise all lines would lie in one set of a cache

inline bool same(const strided& a, const strided& b) {
  return a.data == b.data && a.token == b.token && a.chan == b.chan && a.state == b.state;
}

/// Floats that are asked for one after the other, and then have a place.
class places final {
 public:
  std::size_t take(std::size_t count) {
    const std::size_t at = size_;
    size_ += (count + 15) / 16 * 16;
    return at;
  }
  std::size_t size() const { return size_; }

 private:
  std::size_t size_ = 0;
};

/// a b as [vector, step, lane]; b may be null.
struct packed_line final {
  strided a, b;
  std::size_t at;
  bool constant() const { return a.token == 0 && b.data == nullptr; }
};
/// The factor of a state. Narrow [state, step] of a group of states; wide [vector, state, lane] if it is the same at
/// every step, or else [step, state, lane] of one group and vector.
struct packed_factor final {
  strided v;
  std::size_t at;
  bool is_finite;  ///< so that 0 times it is 0
  bool wide() const { return v.chan != 0; }
  bool constant() const { return v.token == 0; }
};
/// Sums over the states of v q, as [vector, step, lane].
struct state_total final {
  state_product of;
  std::size_t factor, at;
};
/// A sum of the window and what it takes: a total if it is over states. `at` are its own numbers: [step, state, lane]
/// of a group if it is over channels only, else sums over tokens and what they lost.
struct planned_sum final {
  const window_sum* is;
  std::size_t line, factor, total, at, lost;
  bool over_tokens() const { return is->token == 0; }
  bool over_channels() const { return is->chan == 0; }
  bool over_states() const { return is->state == 0; }
};

struct gradient_plan final {
  std::size_t vectors, states;  ///< most of a pass
  places memory;
  std::vector<packed_line> lines;
  std::vector<strided> streams, results;  ///< whose rows are apart: what the next block takes is fetched on the way
  std::size_t forward_streams;
  std::vector<packed_factor> factors;
  std::vector<state_total> totals;
  std::vector<planned_sum> sums;
  std::size_t write_factor, read_factor;
  bool decays_shared, decays_vary;
  bool keeps_states;   ///< or only a_t h_{t-1}, to which what is written is added again
  bool varies_widely;  ///< some wide factor changes with every step
  std::size_t rates, fastest, amount, longest, shared_power, shared_scale, shared_amount;
  std::size_t power, scale, decayed, h, low, checkpoints, row;

  static constexpr std::size_t decay_line = 0, write_line = 1, read_line = 2;

  explicit gradient_plan(const gradient_window& w) {
    choose_sizes(w);
    const strided none{nullptr, 0, 0, 0};
    decays_shared = w.decay.u.chan == 0 && w.decay.v.chan == 0;
    decays_vary = w.decay.v.token != 0;
    add_line(w.decay.u, none);
    lines.push_back({w.write.u, w.x, take_line()});
    lines.push_back({w.read.u, w.g, take_line()});
    write_factor = add_factor(w.write.v, false), read_factor = add_factor(w.read.v, false);
    for (const strided& s : {w.decay.u, w.write.u, w.x}) add_stream(s);
    forward_streams = streams.size();
    for (const strided& s : {w.read.u, w.g}) add_stream(s);
    for (const window_sum& s : w.sums) add_sum(w, s);

    using kind = state_product;
    keeps_states = std::any_of(w.sums.begin(), w.sums.end(), [&](const window_sum& s) {
      return s.of == kind::kept || s.of == kind::read_before || (s.of == kind::read && factors[write_factor].wide());
    });
    varies_widely =
        std::any_of(factors.begin(), factors.end(), [](const packed_factor& f) { return f.wide() && !f.constant(); });

    const std::size_t block = block_steps * most_states * width, all = vectors * states * width;
    power = memory.take(block), scale = memory.take(block), decayed = memory.take(block);
    h = memory.take(block + most_states * width);
    low = memory.take(all);
    rates = memory.take(decays_vary ? block : all), fastest = memory.take(all);
    amount = memory.take(vectors * width), longest = memory.take(vectors * width);
    shared_power = memory.take(decays_shared ? block_steps * states : 0);
    shared_scale = memory.take(decays_shared ? block_steps * states : 0);
    shared_amount = memory.take(states);
    row = memory.take(std::max({2 * vectors * width, block_steps * most_states, in_fours(block_steps) * (width + 1)}));
    checkpoints = memory.take((blocks(w) + 1) * all);
  }
  static std::size_t blocks(const gradient_window& w) { return (w.tokens + block_steps - 1) / block_steps; }

 private:
  /// Checkpoints take 16 MiB at most for one vector of channels and 65536 tokens.
  void choose_sizes(const gradient_window& w) {
    constexpr std::size_t most_floats = std::size_t{4} << 20;
    const std::size_t passes = (w.states + most_at_once - 1) / most_at_once;
    states = (w.states + passes - 1) / passes;
    const std::size_t fit = most_floats / (blocks(w) * states * width);
    vectors = std::clamp<std::size_t>(fit, 1, std::min(most_vectors, (w.channels + width - 1) / width));
  }
  void add_stream(const strided& s) {
    if (s.token != 0 && s.chan == 1 &&
        std::none_of(streams.begin(), streams.end(), [&](const strided& other) { return same(s, other); }))
      streams.push_back(s);
  }
  std::size_t take_line() { return memory.take(vectors * line_steps * width); }
  std::size_t add_line(const strided& a, const strided& b) {
    for (std::size_t k = 0; k < lines.size(); ++k)
      if (same(lines[k].a, a) && same(lines[k].b, b)) return k;
    lines.push_back({a, b, take_line()});
    return lines.size() - 1;
  }
  std::size_t add_factor(const strided& v, bool is_finite) {
    for (std::size_t k = 0; k < factors.size(); ++k)
      if (same(factors[k].v, v) && factors[k].is_finite == is_finite) return k;
    packed_factor f{v, 0, is_finite};
    f.at = memory.take(!f.wide()      ? block_steps * states
                       : f.constant() ? vectors * states * width
                                      : block_steps * most_states * width);
    factors.push_back(f);
    return factors.size() - 1;
  }
  std::size_t add_total(state_product of, std::size_t factor) {
    for (std::size_t k = 0; k < totals.size(); ++k)
      if (totals[k].of == of && totals[k].factor == factor) return k;
    totals.push_back({of, factor, take_line()});
    return totals.size() - 1;
  }
  void add_sum(const gradient_window& w, const window_sum& s) {
    using kind = state_product;
    const bool times_g = s.of == kind::read || s.of == kind::read_before;
    planned_sum p{};
    add_stream(s.weight.u);
    if (s.token != 0 && s.chan == 1 && s.state == 0) results.push_back({s.to, s.token, s.chan, 0});
    p.is = &s;
    // One order of the two, that of the line which the backward scan takes.
    p.line = add_line(s.weight.u, times_g ? w.g : strided{nullptr, 0, 0, 0});
    p.factor = add_factor(s.weight.v, s.of == kind::decayed);
    if (p.over_states()) p.total = add_total(s.of, p.factor);
    if (!p.over_states() && !p.over_tokens()) p.at = memory.take(in_fours(block_steps * most_states) * width);
    if (p.over_tokens()) {
      const std::size_t numbers = vectors * width * (p.over_states() ? 1 : states);
      p.at = memory.take(numbers), p.lost = memory.take(numbers);
    }
    sums.push_back(p);
  }
};

}  // namespace alphaform::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
