// Random terms to try rules on: streams with given axes, with or without the value input, and operators on them.
#pragma once
#include <alphaform/algebra/language.hpp>
#include <alphaform/algebra/properties.hpp>
#include <random>

namespace alphaform {

class random_terms final {
 public:
  explicit random_terms(unsigned seed) : draw_(seed) {}

  int below(int n) { return std::uniform_int_distribution<int>(0, n - 1)(draw_); }

  /// Some axes; with_channels of those that hold the value input.
  axes some_axes(bool with_channels) {
    constexpr axes all[] = {chan, chan | state, head | chan, state, rank, head | state};
    return all[below(with_channels ? 3 : 6)];
  }

  /// A stream that can control an operator; `with_x` allows the value input in it.
  expr control(axes a, bool with_x, int depth = 2) {
    const int kind = depth == 0 ? below(2) : below(8);
    const auto inner = [&] { return control(a, with_x, depth - 1); };
    switch (kind) {
      case 0:
        return with_x && a.contains(chan) ? value(a) : build::leaf<terms::input>(below(2) ? "a" : "b", a);
      case 1:
        return build::leaf<terms::parameter>(below(2) ? "w" : "bias", a);
      case 2:
        return build::call<functions::exp>(inner());
      case 3:
        return build::call<functions::sigmoid>(inner());
      case 4:
        return build::call<functions::silu>(inner());
      case 5:
        return build::with<terms::times>(inner(), inner());
      case 6:
        return build::with<terms::plus>(inner(), inner());
      default:
        return build::with<terms::applied>(operation(a, with_x, depth - 1), inner());
    }
  }

  /// A stream that surely contains the value input, as a control or on the value path.
  expr with_value(axes a) {
    return below(2) ? on_value_path(a) : build::with<terms::times>(control(a, true), value(a));
  }

  /// A stream through which the value path goes: operators, sums and activations of the value input.
  expr on_value_path(axes a, int depth = 2) {
    const auto inner = [&] { return on_value_path(a, depth - 1); };
    switch (depth == 0 ? 0 : below(5)) {
      case 0:
        return value(a);
      case 1:
        return build::with<terms::applied>(operation(a, true, 1), inner());
      case 2:
        return build::call<functions::silu>(inner());
      case 3:
        return build::with<terms::plus>(inner(), control(a, false, 1));
      default:
        return build::with<terms::plus>(inner(), inner());
    }
  }

  /// An operator from the axes `a` to themselves.
  expr operation(axes a, bool with_x, int depth = 2) {
    const auto inner = [&] { return operation(a, with_x, depth - 1); };
    const auto diag = [&](axes on) {
      return build::with<terms::diag>(control(on, with_x, depth == 0 ? 0 : depth - 1));
    };
    switch (depth == 0 ? below(4) : below(8)) {
      case 0:
        return diag(a);
      case 1:
        return build::with<terms::conv>(build::leaf<terms::parameter>("taps", a));
      case 2:
        return build::leaf<terms::delay>();
      case 3:
        return build::with<terms::scan>(diag(a));
      case 4:
        return build::with<terms::sum>(inner(), inner());
      case 5:
        return a == chan || a == state || a == rank ? mix(a) : inner();
      case 6:
        return a.contains(state) ? inner() : recurrence(diag(a | state), diag(a | state));
      default:
        return build::with<terms::product>(inner(), inner());
    }
  }

  /// An operator that makes or sums away the state axis.
  expr rectangular(axes a, bool with_x) {
    if (a.contains(state))
      return build::with<terms::product>(build::leaf<terms::contract>({}, {}, state), operation(a, with_x, 1));
    return build::with<terms::product>(build::leaf<terms::expand>({}, state), operation(a, with_x, 1));
  }

 private:
  static expr value(axes a) {
    const expr x = build::leaf<terms::input>(value_input, chan);
    return a == chan ? x : build::with<terms::applied>(build::leaf<terms::expand>({}, a - chan), x);
  }
  static expr mix(axes a) { return build::mix(build::leaf<terms::parameter>("W", a), a, a); }
  static expr recurrence(const expr& decay, const expr& read) {
    const auto then = [](const expr& p, const expr& q) { return build::with<terms::product>(p, q); };
    const expr inside = then(build::with<terms::scan>(decay), build::leaf<terms::expand>({}, state));
    return then(build::leaf<terms::contract>({}, {}, state), then(read, inside));
  }

  std::mt19937 draw_;
};

}  // namespace alphaform
