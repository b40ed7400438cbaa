#include <fmt/format.h>

#include <alphaform/backends/cuda/programs/source.hpp>
#include <alphaform/error.hpp>
#include <limits>
#include <vector>

namespace alphaform::cuda {

namespace {

namespace f = functions;
using operation = pointwise::operation;

// The value of each function at x, in single precision. Roots and quotients are those without branches, over which the
// compiler moves no loads.
constexpr std::string_view source(f::exp) { return "expf(x)"; }
constexpr std::string_view source(f::neg) { return "-x"; }
constexpr std::string_view source(f::reciprocal) { return "__fdividef(1.0f, x)"; }
constexpr std::string_view source(f::complement) { return "1.0f - x"; }
constexpr std::string_view source(f::square) { return "x * x"; }
constexpr std::string_view source(f::rsqrt) { return "rsqrtf(x)"; }
constexpr std::string_view source(f::relu) { return "x < 0.0f ? 0.0f : x"; }
constexpr std::string_view source(f::softplus) { return "(x < 0.0f ? 0.0f : x) + log_of_one_and(expf(-fabsf(x)))"; }
constexpr std::string_view source(f::sigmoid) { return "__fdividef(1.0f, 1.0f + expf(-x))"; }
constexpr std::string_view source(f::silu) { return "__fdividef(x, 1.0f + expf(-x))"; }
constexpr std::string_view source(f::step) { return "x > 0.0f ? 1.0f : 0.0f"; }
constexpr std::string_view source(f::sign) { return "x > 0.0f ? 1.0f : x < 0.0f ? -1.0f : 0.0f"; }
constexpr std::string_view source(f::abs) { return "fabsf(x)"; }
constexpr std::string_view source(f::tanh) { return "tanhf(x)"; }
constexpr std::string_view source(f::log) { return "logf(x)"; }
constexpr std::string_view source(f::cos) { return "cosf(x)"; }
constexpr std::string_view source(f::sin) { return "sinf(x)"; }
constexpr std::string_view source(f::sqrt) { return "square_root(x)"; }
constexpr std::string_view source(f::expm1) { return "expm1f(x)"; }

/// log(1 + e) for 0 <= e <= 1 is 2 artanh(e / (2 + e)). The root is off by one unit in the last place at most.
constexpr std::string_view helpers = R"(
__device__ inline float log_of_one_and(float e) {
  const float s = __fdividef(e, 2.0f + e), q = s * s;
  float p = fmaf(2.0f / 13.0f, q, 2.0f / 11.0f);
  p = fmaf(p, q, 2.0f / 9.0f);
  p = fmaf(p, q, 2.0f / 7.0f);
  p = fmaf(p, q, 2.0f / 5.0f);
  p = fmaf(p, q, 2.0f / 3.0f);
  return fmaf(s * q, p, s + s);
}
__device__ inline float square_root(float x) {
  float y;
  asm("sqrt.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
)";

constexpr auto sources = tabulate(functions_tuple, [](auto g) { return source(g); });

std::string number(double v) {
  if (v == std::numeric_limits<double>::infinity()) return "__int_as_float(0x7f800000)";
  if (v == -std::numeric_limits<double>::infinity()) return "__int_as_float(0xff800000)";
  return fmt::format("{:.9e}f", v);
}

}  // namespace

std::string functions_of(const pointwise& p) {
  std::string text(helpers);
  std::vector<bool> known(sources.size(), false);
  for (const pointwise::instruction& n : p.instructions) {
    if (n.is != operation::map || known[n.function]) continue;
    known[n.function] = true;
    text +=
        fmt::format("__device__ inline float f{}(float x) {{ return {}; }}\n", int{n.function}, sources[n.function]);
  }
  return text;
}

std::string statement(const pointwise::instruction& n, std::string_view loaded) {
  const int a = n.a, b = n.b, c = n.c;
  const auto value = [&]() -> std::string {
    switch (n.is) {
      case operation::load:
        return fmt::format(fmt::runtime(loaded), a);
      case operation::number:
        return number(n.number);
      case operation::map:
        return fmt::format("f{}(r{})", int{n.function}, a);
      case operation::times:
        return fmt::format("r{} * r{}", a, b);
      case operation::plus:
        return fmt::format("r{} + r{}", a, b);
      case operation::larger:
        return fmt::format("r{0} < r{1} ? r{1} : r{0}", a, b);
      case operation::times_plus:
        return fmt::format("fmaf(r{}, r{}, r{})", a, b, c);
      case operation::lost:
        return fmt::format("fmaf(r{}, r{}, -r{})", a, b, c);
      case operation::inverse:
        return fmt::format("r{0} == 0.0f ? 0.0f : __fdividef(1.0f, r{0})", a);
      case operation::scan:
      case operation::scan_back:
      case operation::states:
      case operation::states_back:
        throw internal_error("what goes over tokens is no step of an entry on its own");
    }
    throw internal_error("an operation that is not known");
  };
  return fmt::format("      r{} = {};\n", int{n.to}, value());
}

std::string registers(const pointwise& p) {
  std::string text = "      float r0 = 0.0f";
  for (int k = 1; k < p.registers; ++k) text += fmt::format(", r{} = 0.0f", k);
  return text + ";\n";
}

std::string_view type_of(number_format f) { return f == number_format::whole ? "float" : "unsigned short"; }
const std::string_view access_to_numbers = R"(
__device__ inline float wide(float x) { return x; }
__device__ inline float wide(unsigned short x) { return __uint_as_float((unsigned)x << 16); }
__device__ inline float4 four(const float* from) { return *reinterpret_cast<const float4*>(from); }
__device__ inline float4 four(const unsigned short* from) {
  const uint2 x = *reinterpret_cast<const uint2*>(from);
  return make_float4(__uint_as_float(x.x << 16), __uint_as_float(x.x & 0xffff0000u), __uint_as_float(x.y << 16),
                     __uint_as_float(x.y & 0xffff0000u));
}
__device__ inline unsigned rounded(float low, float high) {
  unsigned both;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(both) : "f"(high), "f"(low));
  return both;
}
__device__ inline void put(float* to, float x) { *to = x; }
__device__ inline void put(unsigned short* to, float x) { *to = (unsigned short)rounded(x, 0.0f); }
__device__ inline void put(float* to, float4 x) { *reinterpret_cast<float4*>(to) = x; }
__device__ inline void put(unsigned short* to, float4 x) {
  *reinterpret_cast<uint2*>(to) = make_uint2(rounded(x.x, x.y), rounded(x.z, x.w));
}
)";

std::string call_type(int places) {
  return fmt::format(
      "struct lies {{ float* data; long long step[{0}]; }};\n"
      "struct call {{ long long entries, axes, size[{0}], tokens; lies of[{1}]; }};\n"
      "__device__ inline void move(const call& c, unsigned long long i, long long* at) {{\n"
      "  for (int k = 0; k < {1}; ++k) at[k] = 0;\n"
      "  for (int a = 0; a < c.axes; ++a) {{\n"
      "    const unsigned n = (unsigned)c.size[a];\n"
      "    unsigned along;\n"
      "    if (i >> 32) {{ along = (unsigned)(i % n); i /= n; }}\n"
      "    else {{ const unsigned j = (unsigned)i, q = j / n; along = j - q * n; i = q; }}\n"
      "    for (int k = 0; k < {1}; ++k) at[k] += c.of[k].step[a] * (long long)along;\n"
      "  }}\n"
      "}}\n",
      call_axes, places);
}

}  // namespace alphaform::cuda
