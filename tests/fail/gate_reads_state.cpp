// A gate that reads the previous state, as in a GRU or an LSTM, leaves no scan law.
#include <alphaform/algebra/recurrence.hpp>

namespace alphaform {
// expect: a gate reads the previous state
constexpr auto h = recur([](auto before) { return gate(sigmoid(before)) * before + input<"x">; });
}  // namespace alphaform
