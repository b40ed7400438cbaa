// A gate that reads the previous state, as in a GRU or an LSTM, leaves no scan law.
#include <alphaform/algebra/recurrence.hpp>

namespace alphaform {
constexpr auto h = recur([](auto before) { return gate(sigmoid(input<"f">)) * before + input<"x">; });
}  // namespace alphaform
