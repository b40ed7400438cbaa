// Passes over unrolled recurrences: views as windows, programs as steps.
#include <algorithm>
#include <alphaform/backends/cpu/pointwise/strip_loops.hpp>
#include <alphaform/backends/cpu/states/joined_steps.hpp>
#include <alphaform/backends/cpu/states/pass.hpp>
#include <alphaform/backends/cpu/states/streams.hpp>
#include <array>

namespace alphaform::cpu {

namespace {

using in = view<const float>;
using out = view<float>;
using operation = pointwise::operation;

/// Turns instructions into steps.
class compilation final {
 public:
  compilation(const pointwise& p, std::span<const in> operands) : p_(p), operands_(operands) {
    zero_ = static_cast<std::uint16_t>(p.instructions.size());
    made_.constants.push_back({zero_, 0});
    made_.rows = static_cast<std::uint16_t>(zero_ + 1);
    made_.strips = p.registers;
  }

  pass_program program() {
    for (std::size_t i = 0; i < p_.instructions.size(); ++i) take(i, p_.instructions[i]);
    made_.result = as_strip(registers_[p_.instructions.back().to]);
    join_steps(made_);
    return std::move(made_);
  }

 private:
  using shape = shape_of_value;
  struct held final {
    std::uint16_t place = 0;
    shape is = shape::number;
  };

  /// Instruction number i: a row has a place of its own, a strip the register's.
  void take(std::size_t i, const pointwise::instruction& is) {
    const auto place = [&](shape s) {
      return held{s == shape::strip ? made_.strip(is.to) : static_cast<std::uint16_t>(i), s};
    };
    held& to = registers_[is.to];
    if (is.is == operation::load) {
      const in& v = operands_[is.a];
      to = place(v.step(axis::token) != 0 ? shape::strip : v.step(axis::chan) != 0 ? shape::row : shape::number);
      add(to, {is.is, no_function, is.a, is.a, is.a, to.place, {}});
    } else if (is.is == operation::number) {
      to = place(shape::number);
      made_.constants.push_back({to.place, static_cast<float>(is.number)});
    } else if (is.is == operation::states || is.is == operation::states_back) {
      made_.decay = as_strip(registers_[is.a]);
      made_.x = as_strip(registers_[is.b]);
      made_.states = one_more();
      on_strips_ = &made_.after;
      to = {made_.states, shape::strip};
    } else {
      const std::size_t arguments = arguments_of(is.is);
      const held a = registers_[is.a], b = arguments > 1 ? registers_[is.b] : a,
                 c = arguments > 2 ? registers_[is.c] : a;
      to = place(std::max({a.is, b.is, c.is}));
      const auto is_row = [](const held& v) { return v.is != shape::strip; };
      add(to, {is.is, is.function, a.place, b.place, c.place, to.place, {is_row(a), is_row(b), is_row(c)}});
    }
  }

  void add(const held& to, const pass_program::step& s) {
    (to.is == shape::number ? made_.on_numbers : to.is == shape::row ? made_.on_rows : *on_strips_).push_back(s);
  }
  std::uint16_t one_more() { return made_.strip(made_.strips++); }
  std::uint16_t as_strip(const held& v) {
    if (v.is == shape::strip) return v.place;
    const std::uint16_t to = one_more();
    on_strips_->push_back({operation::plus, no_function, v.place, zero_, v.place, to, {true, true, true}});
    return to;
  }

  const pointwise& p_;
  std::span<const in> operands_;
  pass_program made_;
  std::vector<pass_program::step>* on_strips_ = &made_.before;
  std::array<held, 256> registers_;
  std::uint16_t zero_;
};

struct operands_of_pass final {
  state_factors<float> factors;
  std::vector<in> streams;
  out h, y;

  operands_of_pass entry(axis a, std::size_t k) const {
    const auto of = [&](const auto& v) { return v.slice(a, k, k + 1); };
    operands_of_pass one{{of(factors.log_decay), of(factors.write), of(factors.read)}, {}, of(h), of(y)};
    for (const in& v : streams) one.streams.push_back(of(v));
    return one;
  }
};

/// For every index of the axes from number k on that are not within a scan.
void pass_each(std::size_t k, const pass_program& program, bool backward, const operands_of_pass& o) {
  for (; k < axis_count; ++k) {
    const axis a = every_axis[k];
    if (within_scan(a) || o.y.of(a) == 1) continue;
    for (std::size_t i = 0; i < o.y.of(a); ++i) pass_each(k + 1, program, backward, o.entry(a, i));
    return;
  }
  const strided result = along(o.y, backward);
  const auto of_states = [](axis a, const out& h) { return static_cast<std::ptrdiff_t>(at(h.stride, a)); };
  states_pass p{.w = {.tokens = o.y.of(axis::token),
                      .channels = o.h.of(axis::chan),
                      .states = o.h.of(axis::state),
                      .logarithmic = true,
                      .decay_lag = backward ? 1u : 0u,
                      .write_lag = 0,
                      .decay = {{}, along(o.factors.log_decay, backward)},
                      .write = {{}, along(o.factors.write, backward)},
                      .read = {{}, along(o.factors.read, backward)},
                      .x = {},
                      .h = o.h.data,
                      .h_chan = of_states(axis::chan, o.h),
                      .h_state = of_states(axis::state, o.h),
                      .y = o.y.data + (result.data - o.y.data),
                      .y_token = result.token,
                      .y_chan = result.chan,
                      .soon = streams_beside(o.y, backward)},
                .program = &program,
                .operands = {}};
  std::size_t here = 0;
  p.w.here.fill(result);
  for (const in& v : o.streams) {
    p.operands.push_back(along(v, backward));
    if (here + 1 < p.w.here.size() && v.of(axis::token) > 1 && v.of(axis::chan) > 1)
      p.w.here[here++] = p.operands.back();
  }
  scan(p);
}

}  // namespace

void unrolled_pass(const pointwise& p, const state_factors<float>& f, std::span<const in> operands, out h, out y) {
  if (volume(y.size) == 0 || volume(h.size) == 0) return;
  const pass_program program = compilation(p, operands).program();
  pass_each(0, program, p.scan() == operation::states_back, {f, {operands.begin(), operands.end()}, h, y});
}

}  // namespace alphaform::cpu
