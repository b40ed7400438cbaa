// A strip of tokens of some channels: the program's steps before the states, the states, and the steps after them, for
// one vector of channels after the other.
#if defined(ALPHAFORM_CPU_STATES_PASS_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef ALPHAFORM_CPU_STATES_PASS_INL
#undef ALPHAFORM_CPU_STATES_PASS_INL
#else
#define ALPHAFORM_CPU_STATES_PASS_INL
#endif

#include <hwy/cache_control.h>

#include <alphaform/backends/cpu/pointwise/operations-inl.hpp>
#include <alphaform/backends/cpu/simd/functions.hpp>
#include <alphaform/backends/cpu/states/pass.hpp>
#include <alphaform/backends/cpu/states/tile-inl.hpp>
#include <alphaform/backends/cpu/streaming.hpp>
#include <array>

HWY_BEFORE_NAMESPACE();
namespace alphaform::cpu::HWY_NAMESPACE {

/// y[step, lane] for so many steps; an argument may be a row, y may be an argument.
template <class Operation, bool... Rows, std::size_t... K>
void on_vectors(const float* const* from, float* y, std::size_t steps, std::index_sequence<K...>) {
  constexpr lanes d;
  for (std::size_t i = 0; i < steps * width; i += width)
    hn::Store(Operation::Of(d, hn::Load(d, from[K] + (Rows ? 0 : i))...), d, y + i);
}
using loop_on_vectors = void (*)(const float* const* from, float* y, std::size_t steps);
template <class Operation, bool... Rows>
void loop_of_rows(const float* const* from, float* y, std::size_t steps) {
  on_vectors<Operation, Rows...>(from, y, steps, std::make_index_sequence<sizeof...(Rows)>());
}

template <class Operation>
loop_on_vectors of_one(const bool* rows) {
  return rows[0] ? &loop_of_rows<Operation, true> : &loop_of_rows<Operation, false>;
}
template <class Operation, bool... Rows>
loop_on_vectors of_two(const bool* rows) {
  if constexpr (sizeof...(Rows) == 2)
    return &loop_of_rows<Operation, Rows...>;
  else
    return rows[sizeof...(Rows)] ? of_two<Operation, Rows..., true>(rows) : of_two<Operation, Rows..., false>(rows);
}
template <class Operation, bool... Rows>
loop_on_vectors of_three(const bool* rows) {
  if constexpr (sizeof...(Rows) == 3)
    return &loop_of_rows<Operation, Rows...>;
  else
    return rows[sizeof...(Rows)] ? of_three<Operation, Rows..., true>(rows) : of_three<Operation, Rows..., false>(rows);
}

inline loop_on_vectors loop_of(const pass_program::step& s) {
  switch (s.is) {
    case pointwise::operation::times:
      return of_two<times>(s.rows);
    case pointwise::operation::plus:
      return of_two<plus>(s.rows);
    case pointwise::operation::larger:
      return of_two<larger>(s.rows);
    case pointwise::operation::times_plus:
      return of_three<times_plus>(s.rows);
    case pointwise::operation::lost:
      return of_three<lost>(s.rows);
    default:
      return of_one<inverse>(s.rows);
  }
}

class pass_strip final {
 public:
  /// Of the channels from `first` on, and of at most so many steps.
  pass_strip(const states_pass& p, std::size_t first, std::size_t channels, std::size_t steps)
      : p_(p),
        program_(*p.program),
        leaves_(width * sizeof(float) == 64 && p.w.y_chan == 1 &&
                leaves_caches(p.w.y, p.w.y_token, p.w.channels, p.w.tokens)),
        w_(without_result_ahead(p.w)),
        first_(first),
        channels_(channels),
        row_(((steps + 1) | 1) * width),  // an odd number, as otherwise all strips would lie in the same sets
        spare_(scratch(row_ * (1 + program_.strips + 2 * most_moved) + whole_vectors(channels) + program_.rows * width +
                       tile::memory_of(w_, channels, steps))),
        moved_(spare_ + row_ * (1 + program_.strips)),
        pending_(moved_ + row_ * 2 * most_moved),
        rows_(pending_ + whole_vectors(channels)),
        tile_(w_, first, channels, steps, rows_ + program_.rows * width) {
    std::fill_n(pending_, whole_vectors(channels), 0.0f);
    for (std::size_t k = 0; k < program_.rows; ++k) where_.push_back(rows_ + k * width);
    where_.resize(program_.rows + program_.strips);
    place_strips();
    for (const pass_program::constant& c : program_.constants) std::fill_n(where_[c.to], width, c.value);
    begin_ = 0, count_ = 1;
    run(program_.on_numbers, 0, 1);
    for (const std::vector<pass_program::step>* list : {&program_.before, &program_.after})
      for (const pass_program::step& s : *list)
        if (s.is == pointwise::operation::load && p.operands[s.a].chan == 1 && movable_.size() < most_moved)
          movable_.push_back(s.a);
  }

  void load_states() { tile_.load_states(); }
  void store_states() {
    if (lag() == 1) decay_once_more();
    tile_.store_states();
    if (leaves_) hwy::FlushStream();
  }

  /// The steps [begin, end), after which those up to `next_end` come.
  void advance(std::size_t begin, std::size_t end, std::size_t next_end) {
    begin_ = begin, count_ = end - begin;
    tile_.begin_strip(begin_, count_);
    for (std::size_t c = 0; c < channels_; c += width) {
      place_strips();
      run(program_.on_rows, c, 1);
      run(program_.before, c, count_);
      strip_of_vector v = arguments(c);
      const bool is_last = c + width >= channels_;
      const bool moves = is_last ? next_end - end == count_ && move(0, count_) : move(c + width, 0);
      if (moves) v.moves = moves_.data();
      tile_.advance(c, v);
      run(program_.after, c, count_);
      store(c);
      turn_ = 1 - turn_;
      has_moved_ = moves;
    }
  }

 private:
  static constexpr std::size_t most_moved = 4;

  /// A y that leaves caches is not fetched ahead.
  states_window without_result_ahead(const states_window& w) const {
    states_window own = w;
    if (leaves_)
      for (strided& s : own.here)
        if (s.data == w.y) s = own.here.front();
    return own;
  }
  void place_strips() {
    for (std::size_t k = 0; k < program_.strips; ++k) where_[program_.rows + k] = spare_ + (1 + k) * row_;
  }

  std::size_t lag() const { return w_.decay_lag; }
  std::size_t lanes_from(std::size_t c) const { return std::min(width, channels_ - c); }

  void run(const std::vector<pass_program::step>& steps, std::size_t c, std::size_t count) {
    for (const pass_program::step& s : steps) {
      if (s.is == pointwise::operation::load) {
        load(s, c, count);
      } else if (s.sum || s.product) {
        function_within(s.function, s.sum, s.product)(where_[s.a], where_[s.b], where_[s.c], where_[s.to],
                                                      count * width);
      } else if (s.is == pointwise::operation::map) {
        function_on_strips(s.function)(where_[s.a], where_[s.to], count * width);
      } else {
        const float* from[] = {where_[s.a], where_[s.b], where_[s.c]};
        loop_of(s)(from, where_[s.to], count);
      }
    }
  }

  void load(const pass_program::step& s, std::size_t c, std::size_t count) {
    const auto k = static_cast<std::size_t>(std::find(movable_.begin(), movable_.end(), s.a) - movable_.begin());
    if (k < moved_now()) where_[s.to] = moved_to(k, turn_);
    if (k >= moved_now() || !has_moved_) spread(p_.operands[s.a], c, count, where_[s.to]);
  }
  void spread(const strided& s, std::size_t c, std::size_t count, float* to) const {
    HWY_ALIGN float buffer[width];
    const float* from = tile_.token(s, 0, 0) + offset(s.chan, first_ + c);
    const std::size_t some = lanes_from(c);
    if (s.chan == 1 && some == width) {
      for (std::size_t i = 0; i < count; ++i, from += s.token, to += width) hn::Store(hn::LoadU(d, from), d, to);
    } else if (s.chan == 0) {
      for (std::size_t i = 0; i < count; ++i, from += s.token, to += width) hn::Store(hn::Set(d, *from), d, to);
    } else {
      for (std::size_t i = 0; i < count; ++i, from += s.token, to += width)
        hn::Store(hn::LoadU(d, row(from, s.chan, some, buffer)), d, to);
    }
  }

  /// Streams that are moved while states are computed: two with each of the first groups of states.
  std::size_t moved_now() const {
    return std::min(movable_.size(), w_.states >= 2 * most_states ? most_moved : most_moved / 2);
  }
  float* moved_to(std::size_t k, std::size_t turn) const { return moved_ + (2 * k + turn) * row_; }
  /// Has the vector from channel c on, so many steps later, moved beside the next states, if it is a whole one.
  bool move(std::size_t c, std::size_t later) {
    if (movable_.empty() || w_.states < most_states || c + width > channels_) return false;
    for (std::size_t k = 0; k < most_moved; ++k) {
      const strided& s = p_.operands[movable_[std::min(k, movable_.size() - 1)]];
      moves_[k] = {tile_.token(s, later, 0) + first_ + c, s.token,
                   moved_to(std::min(k, movable_.size() - 1), 1 - turn_)};
    }
    return true;
  }

  /// What the program has made for the states. A decay that lags is that of the step before: strips have room for one
  /// in front.
  strip_of_vector arguments(std::size_t c) const {
    const float* const made = where_[program_.decay];
    vec before = hn::Load(d, pending_ + c), total = hn::Abs(before), longest = total;
    for (std::size_t i = 0; i < count_; ++i) {
      const vec u = hn::Abs(hn::Load(d, made + i * width));
      total = hn::Add(total, u);
      longest = hn::Max(longest, u);
    }
    float* decay = where_[program_.decay];
    const vec most = hn::Set(d, std::numeric_limits<float>::max());
    if (!hn::AllTrue(d, hn::Le(total, most))) {
      decay = spare_ + width;
      for (std::size_t i = 0; i < count_ * width; i += width) hn::Store(finite(hn::Load(d, made + i)), d, decay + i);
      before = finite(before);
      total = longest = most;
    }
    if (lag() == 1) {
      hn::Store(before, d, decay - width);
      hn::Store(hn::Load(d, made + (count_ - 1) * width), d, pending_ + c);
    }
    return {decay - lag() * width, where_[program_.x], where_[program_.states], total, longest};
  }

  void store(std::size_t c) const {
    const float* from = where_[program_.result];
    const states_window& w = w_;
    float* to = w.y + offset(w.y_token, begin_) + offset(w.y_chan, first_ + c);
    const std::size_t some = lanes_from(c);
    const std::ptrdiff_t step = w.y_token;
    if (leaves_ && some == width)
      for (std::size_t i = 0; i < count_; ++i, from += width, to += step) hn::Stream(hn::Load(d, from), d, to);
    else if (w.y_chan == 1 && some == width)
      for (std::size_t i = 0; i < count_; ++i, from += width, to += step) hn::StoreU(hn::Load(d, from), d, to);
    else
      for (std::size_t i = 0; i < count_; ++i, from += width, to += step)
        for (std::size_t k = 0; k < some; ++k) to[offset(w.y_chan, k)] = from[k];
  }

  /// By the decay of the last token.
  void decay_once_more() {
    tile_.begin_strip(w_.tokens, 1);
    float *const x = where_[program_.x], *const y = where_[program_.states];
    for (std::size_t c = 0; c < channels_; c += width) {
      const vec u = finite(hn::Load(d, pending_ + c)), zero = hn::Zero(d);
      hn::Store(u, d, spare_);
      hn::Store(zero, d, x);
      tile_.advance(c, {spare_, x, y, hn::Abs(u), hn::Abs(u)});
    }
  }

  static constexpr lanes d{};
  const states_pass& p_;
  const pass_program& program_;
  bool leaves_;  ///< y is written past all caches
  states_window w_;
  std::size_t first_, channels_, row_;
  float* spare_;    ///< a strip; the program's follow, each with a vector before the next
  float* moved_;    ///< two strips, in turns, for each operand that is moved
  float* pending_;  ///< the last step's decay, which has not been applied where it lags
  float* rows_;
  tile tile_;
  std::vector<float*> where_;
  std::vector<std::size_t> movable_;
  std::array<moved, most_moved> moves_{};
  std::size_t turn_ = 0;
  bool has_moved_ = false;
  std::size_t begin_ = 0, count_ = 0;
};

}  // namespace alphaform::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
