#include <alphaform/backends/cpu/pointwise/evaluate.hpp>
#include <alphaform/backends/cpu/pointwise/program_run.hpp>
#include <array>

namespace alphaform::cpu {
namespace {

/// Memory is kept for the next call.
program_run& mine() {
  thread_local program_run e;
  return e;
}

constexpr std::uint8_t cost_of_scan = 3;
/// Few functions are as fast as their argument is loaded.
std::uint8_t cost_of(code f) {
  constexpr auto is_plain = tabulate(functions_tuple, [](auto g) {
    using G = decltype(g);
    return std::is_same_v<G, functions::neg> || std::is_same_v<G, functions::complement> ||
           std::is_same_v<G, functions::square> || std::is_same_v<G, functions::abs> ||
           std::is_same_v<G, functions::relu>;
  });
  return is_plain[f] ? 1 : 4;
}

step copy_of(std::uint16_t place, bool repeated, std::uint16_t to) {
  return {loop_of(pointwise::operation::load, repeated ? 1 : 0), nullptr, place, place, place, to};
}

/// What a register holds.
struct held final {
  std::uint16_t place;
  bool repeated;  ///< one number for a block
  bool fixed;     ///< the same for all blocks
};

/// @param h  states of the program's scan, if it has one
void run(const pointwise& program, std::span<const view<const float>> operands, const view<float>& h,
         const view<float>& y) {
  if (volume(y.size) == 0) return;
  program_run& e = mine();
  const auto scan = program.scan();
  e.begin(operands, h, y,
          !scan                                      ? direction::any
          : *scan == pointwise::operation::scan_back ? direction::backward
                                                     : direction::forward);
  constexpr std::size_t arguments_of_scan = 2;
  e.make_places(program.registers + arguments_of_scan, program.instructions.size());
  std::array<held, 256> registers;
  for (std::size_t i = 0; i < program.instructions.size(); ++i) {
    const pointwise::instruction& is = program.instructions[i];
    held& to = registers[is.to];
    if (is.is == pointwise::operation::load) {
      to = {is.a, e.lie_of_operand(is.a) == lie::repeated, e.is_fixed(is.a)};
      if (to.fixed && e.lie_of_operand(is.a) == lie::mixed) {
        to.place = e.one_more_kept();
        e.add_for_first(copy_of(is.a, false, to.place));
      }
      continue;
    }
    if (is.is == pointwise::operation::number) {
      to = {e.number(i), true, true};
      e.at(to.place) = static_cast<float>(is.number);
      continue;
    }
    const std::size_t arguments = arguments_of(is.is);
    const held a = registers[is.a], b = arguments > 1 ? registers[is.b] : a, c = arguments > 2 ? registers[is.c] : a;
    const unsigned repeated = (a.repeated ? 1u : 0u) | (b.repeated ? 2u : 0u) | (c.repeated ? 4u : 0u);
    const bool last = i + 1 == program.instructions.size();
    const auto varying = [&] { return last ? e.y() : e.register_number(is.to); };
    if (scan == is.is) {
      // One number for all places is spread out.
      const auto all = [&](const held& v, std::size_t k) {
        if (!v.repeated) return v.place;
        const std::uint16_t spread = e.register_number(program.registers + k);
        e.add(copy_of(v.place, true, spread));
        return spread;
      };
      const std::uint16_t change = all(a, 0), x = all(b, 1);
      to = {varying(), false, false};
      e.add({nullptr, nullptr, change, x, x, to.place, loop_of_scan(is.is == pointwise::operation::scan_back),
             cost_of_scan});
      continue;
    }
    to = {0, repeated == 7, a.fixed && b.fixed && c.fixed};
    to.place = to.repeated ? e.number(i) : to.fixed ? e.one_more_kept() : varying();
    step s{nullptr, nullptr, a.place, b.place, c.place, to.place};
    if (is.is == pointwise::operation::map) {
      s.function = function_on_strips(is.function);
      s.cost = cost_of(is.function);
    } else {
      s.loop = loop_of(is.is, repeated);
    }
    if (to.repeated)
      e.add_for_block(s);
    else if (to.fixed)
      e.add_for_first(s);
    else
      e.add(s);
  }
  const held result = registers[program.instructions.back().to];
  if (result.place != e.y()) e.add(copy_of(result.place, result.repeated, e.y()));
  e.run();
}

/// As y (1), one number (0), or neither (2).
unsigned compared(const view<const float>& x, const view<float>& y) {
  return x.stride == y.stride ? 1 : x.stride == extents{} ? 0 : 2;
}

void one_instruction(std::span<const view<const float>> operands, const view<float>& y, pointwise::operation o,
                     code f) {
  const std::size_t n = volume(y.size);
  if (n == 0) return;
  if (y.stride == contiguous(y.size)) {  // small ones come one after the other when tokens do
    const unsigned first = compared(operands.front(), y), second = compared(operands.back(), y);
    if (o == pointwise::operation::map && first == 1) return function_on_strips(f)(operands[0].data, y.data, n);
    if (o != pointwise::operation::map && first < 2 && second < 2)
      return loop_of(o, (1 - first) | (1 - second) << 1)(operands[0].data, operands[1].data, nullptr, y.data, n);
  }
  pointwise program;
  program.operands = program.registers = static_cast<std::uint8_t>(operands.size());
  for (std::uint8_t k = 0; k < program.operands; ++k)
    program.instructions.push_back({pointwise::operation::load, k, k});
  program.instructions.push_back({o, 0, 0, 1, 0, f});
  run(program, operands, {}, y);
}
void of_two(pointwise::operation o, const view<const float>& a, const view<const float>& b, const view<float>& y) {
  const view<const float> operands[]{a, b};
  one_instruction(operands, y, o, no_function);
}
}  // namespace

void evaluate(const pointwise& program, std::span<const view<const float>> operands, view<float> y) {
  run(program, operands, {}, y);
}
void scan(const pointwise& program, std::span<const view<const float>> operands, view<float> h, view<float> y) {
  run(program, operands, h, y);
}

void map(code function, view<const float> x, view<float> y) {
  one_instruction({&x, 1}, y, pointwise::operation::map, function);
}
void times(view<const float> a, view<const float> b, view<float> y) { of_two(pointwise::operation::times, a, b, y); }
void plus(view<const float> a, view<const float> b, view<float> y) { of_two(pointwise::operation::plus, a, b, y); }
void larger(view<const float> a, view<const float> b, view<float> y) { of_two(pointwise::operation::larger, a, b, y); }

}  // namespace alphaform::cpu
