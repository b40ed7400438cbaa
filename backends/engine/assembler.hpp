// Pointwise programs in the making: what an instruction needs, and at last registers.
#pragma once
#include <alphaform/backends/pointwise.hpp>
#include <array>
#include <cstddef>
#include <vector>

namespace alphaform {

/// Instructions whose results are numbered and never overwritten; registers are given out at the end.
class assembler final {
 public:
  using operation = pointwise::operation;
  using value = std::size_t;
  value put(pointwise::instruction made, std::array<value, 3> from = {none, none, none}) {
    code_.push_back({made, from});
    return code_.size() - 1;
  }
  value number(double x) { return put({.is = operation::number, .number = x}); }
  value map(code f, value a) { return put({.is = operation::map, .function = f}, {a, none, none}); }
  value times(value a, value b) { return put({.is = operation::times}, {a, b, none}); }
  value plus(value a, value b) {
    if (is_zero(a) || is_zero(b)) return is_zero(a) ? b : a;
    return put({.is = operation::plus}, {a, b, none});
  }
  value larger(value a, value b) { return put({.is = operation::larger}, {a, b, none}); }
  value lost(value a, value b, value rounded) { return put({.is = operation::lost}, {a, b, rounded}); }
  value scan(bool back, value change, value x) {
    return put({.is = back ? operation::scan_back : operation::scan}, {change, x, none});
  }
  value states(bool back, value decay, value x) {
    return put({.is = back ? operation::states_back : operation::states}, {decay, x, none});
  }
  value inverse(value a) { return put({.is = operation::inverse}, {a, none, none}); }
  void load(value v, std::size_t operand) { code_[v].made.a = static_cast<std::uint8_t>(operand); }

  /// Everything that `result` needs; it comes last, as what it needs comes before it.
  pointwise finished(value result, std::size_t operands) {
    std::vector<std::size_t> uses(code_.size(), 0);
    for (const line& l : code_)
      for (const value v : l.from)
        if (v != none) ++uses[v];
    fuse_products(uses);
    drop_unused(result);
    return with_registers(operands);
  }

 private:
  static constexpr value none = static_cast<value>(-1);
  struct line final {
    pointwise::instruction made;
    std::array<value, 3> from;
  };

  bool is_zero(value v) const { return code_[v].made.is == operation::number && code_[v].made.number == 0; }
  /// a b + c in one instruction, where a b is needed for nothing else.
  void fuse_products(const std::vector<std::size_t>& uses) {
    for (line& l : code_) {
      if (l.made.is != operation::plus) continue;
      for (const std::size_t k : {std::size_t{0}, std::size_t{1}}) {
        const value product = l.from[k], other = l.from[1 - k];
        if (code_[product].made.is != operation::times || uses[product] != 1) continue;
        l.made.is = operation::times_plus;
        l.from = {code_[product].from[0], code_[product].from[1], other};
        break;
      }
    }
  }
  void drop_unused(value result) {
    std::vector<bool> needed(code_.size(), false);
    needed[result] = true;
    for (std::size_t i = code_.size(); i-- > 0;)
      if (needed[i])
        for (const value v : code_[i].from)
          if (v != none) needed[v] = true;
    std::vector<value> place(code_.size(), none);
    std::vector<line> kept;
    for (std::size_t i = 0; i < code_.size(); ++i) {
      if (!needed[i]) continue;
      place[i] = kept.size();
      kept.push_back(code_[i]);
      for (value& v : kept.back().from)
        if (v != none) v = place[v];
    }
    code_ = std::move(kept);
  }
  pointwise with_registers(std::size_t operands) const {
    std::vector<std::size_t> last(code_.size(), 0);
    for (std::size_t i = 0; i < code_.size(); ++i)
      for (const value v : code_[i].from)
        if (v != none) last[v] = i;
    pointwise p;
    p.operands = static_cast<std::uint8_t>(operands);
    std::vector<std::uint8_t> place(code_.size(), 0), free;
    for (std::size_t i = 0; i < code_.size(); ++i) {
      pointwise::instruction made = code_[i].made;
      std::array<std::uint8_t*, 3> slots{&made.a, &made.b, &made.c};
      for (std::size_t k = 0; k < 3; ++k) {
        const value v = code_[i].from[k];
        if (v == none) continue;
        *slots[k] = place[v];
        const bool again = (k > 0 && code_[i].from[0] == v) || (k > 1 && code_[i].from[1] == v);
        if (last[v] == i && !again) free.push_back(place[v]);
      }
      if (free.empty()) free.push_back(p.registers++);
      made.to = place[i] = free.back();
      free.pop_back();
      p.instructions.push_back(made);
    }
    return p;
  }

  std::vector<line> code_;
};

}  // namespace alphaform
