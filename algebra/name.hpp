// A string literal as a template argument, so that inputs and parameters can be named in a declaration: param<"A_log">.
#pragma once
#include <cstddef>
#include <string_view>

namespace alphaform {

template <std::size_t N>
struct name final {
  char text[N]{};
  constexpr name(const char (&literal)[N]) {  // implicit: a literal is a name
    for (std::size_t i = 0; i < N; ++i) text[i] = literal[i];
  }
  constexpr std::string_view view() const { return {text, N - 1}; }
};

}  // namespace alphaform
