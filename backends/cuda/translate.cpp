#include <fmt/format.h>

#include <algorithm>
#include <alphaform/backends/cuda/translate.hpp>
#include <alphaform/error.hpp>
#include <limits>

namespace alphaform::cuda {

namespace {

namespace f = functions;
using operation = pointwise::operation;

// The value of each function at x, in single precision.
constexpr std::string_view source(f::exp) { return "expf(x)"; }
constexpr std::string_view source(f::neg) { return "-x"; }
constexpr std::string_view source(f::reciprocal) { return "1.0f / x"; }
constexpr std::string_view source(f::complement) { return "1.0f - x"; }
constexpr std::string_view source(f::square) { return "x * x"; }
constexpr std::string_view source(f::rsqrt) { return "1.0f / sqrtf(x)"; }
constexpr std::string_view source(f::relu) { return "x < 0.0f ? 0.0f : x"; }
constexpr std::string_view source(f::softplus) { return "(x < 0.0f ? 0.0f : x) + log1pf(expf(-fabsf(x)))"; }
constexpr std::string_view source(f::sigmoid) { return "1.0f / (1.0f + expf(-x))"; }
constexpr std::string_view source(f::silu) { return "x / (1.0f + expf(-x))"; }
constexpr std::string_view source(f::step) { return "x > 0.0f ? 1.0f : 0.0f"; }
constexpr std::string_view source(f::sign) { return "x > 0.0f ? 1.0f : x < 0.0f ? -1.0f : 0.0f"; }
constexpr std::string_view source(f::abs) { return "fabsf(x)"; }
constexpr std::string_view source(f::tanh) { return "tanhf(x)"; }
constexpr std::string_view source(f::log) { return "logf(x)"; }
constexpr std::string_view source(f::cos) { return "cosf(x)"; }
constexpr std::string_view source(f::sin) { return "sinf(x)"; }
constexpr std::string_view source(f::sqrt) { return "sqrtf(x)"; }
constexpr std::string_view source(f::expm1) { return "expm1f(x)"; }

constexpr auto sources = tabulate(functions_tuple, [](auto g) { return source(g); });

/// The functions that the program uses.
std::string functions_of(const pointwise& p) {
  std::string text;
  std::vector<bool> known(sources.size(), false);
  for (const pointwise::instruction& n : p.instructions) {
    if (n.is != operation::map || known[n.function]) continue;
    known[n.function] = true;
    text +=
        fmt::format("__device__ inline float f{}(float x) {{ return {}; }}\n", int{n.function}, sources[n.function]);
  }
  return text;
}

std::string number(double v) {
  if (v == std::numeric_limits<double>::infinity()) return "__int_as_float(0x7f800000)";
  if (v == -std::numeric_limits<double>::infinity()) return "__int_as_float(0xff800000)";
  return fmt::format("{:.9e}f", v);
}

/// @param loaded  how operand k is read, with {} for k
std::string statement(const pointwise::instruction& n, std::string_view loaded) {
  const auto [a, b, c] = std::tuple{int{n.a}, int{n.b}, int{n.c}};
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
        return fmt::format("r{0} == 0.0f ? 0.0f : 1.0f / r{0}", a);
      case operation::scan:
      case operation::scan_back:
        throw internal_error("a scan is no step of an entry on its own");
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

/// The argument of a kernel with so many operands and results.
std::string call_type(int places) {
  return fmt::format(
      "struct lies {{ float* data; long long step[{0}]; }};\n"
      "struct call {{ long long entries, axes, size[{0}], tokens, chunk; lies of[{1}]; }};\n"
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

constexpr std::string_view of_fours = R"(
__device__ inline float4 four(const lies& o, long long at) {
  if (o.step[0] == 1) return *reinterpret_cast<const float4*>(o.data + at);
  const float v = o.data[at];
  return make_float4(v, v, v, v);
}
)";

/// h <- h + a h + b for a sum of two numbers: neither a small change of a large state is lost, nor is a product of
/// decays near 1 rounded to them. Of decay 0 nothing is left.
constexpr std::string_view of_states = R"(
struct state {
  float high, low;
  __device__ explicit state(double h) : high((float)h), low((float)(h - (double)(float)h)) {}
  __device__ void advance(float a, float b) {
    const float product = a * high, change = product + b, of_b = change - product, sum = high + change, of_change = sum - high;
    const float lost = fmaf(a, high, -product) + ((product - (change - of_b)) + (b - of_b));
    low = fmaf(a, low, low) + (lost + ((high - (sum - of_change)) + (change - of_change)));
    high = sum;
  }
  __device__ float value() const { return high + low; }
  __device__ double exact() const { return (double)high + (double)low; }
};
)";

}  // namespace

std::string translated(const pointwise& p, int at_once) {
  const int y = p.operands, places = y + 1;
  std::string parameters, fours, ones;
  for (int k = 0; k < y; ++k) {
    const char* const comma = k == 0 ? "" : ", ";
    parameters += fmt::format("{}float v{}", comma, k);
    fours += fmt::format("{}v{}.#", comma, k);
    ones += fmt::format("{0}c.of[{1}].data[at[{1}]]", comma, k);
  }
  std::string text = functions_of(p) + call_type(places);
  text += "__device__ inline float value(" + parameters + ") {\n" + registers(p);
  for (const auto& n : p.instructions) text += statement(n, "v{}");
  text += fmt::format("      return r{};\n}}\n", int{p.instructions.back().to});
  if (at_once == 4) text += of_fours;
  text += fmt::format(
      "extern \"C\" __global__ void evaluate(const call c) {{\n"
      "  const unsigned long long all = (unsigned long long)gridDim.x * blockDim.x;\n"
      "  for (unsigned long long i = (unsigned long long)blockIdx.x * blockDim.x + threadIdx.x; i < c.entries / {0};\n"
      "       i += all) {{\n"
      "    long long at[{1}];\n"
      "    move(c, i * {0}, at);\n",
      at_once, places);
  if (at_once == 4) {
    for (int k = 0; k < y; ++k) text += fmt::format("    const float4 v{0} = four(c.of[{0}], at[{0}]);\n", k);
    text += "    float4 to;\n";
    for (const char part : {'x', 'y', 'z', 'w'}) {
      std::string of_part = fours;
      std::replace(of_part.begin(), of_part.end(), '#', part);
      text += fmt::format("    to.{} = value({});\n", part, of_part);
    }
    text += fmt::format("    *reinterpret_cast<float4*>(c.of[{0}].data + at[{0}]) = to;\n", y);
  } else {
    text += fmt::format("    c.of[{0}].data[at[{0}]] = value({1});\n", y, ones);
  }
  return text + "  }\n}\n";
}

std::string translated_scan(const pointwise& p) {
  const int h = p.operands, y = h + 1;
  std::string before, advance, after;
  bool is_after = false;
  for (const auto& n : p.instructions) {
    if (n.is == operation::scan) {
      advance = fmt::format("      s.advance(r{0}, r{1});\n      keep.advance(r{0}, 0.0f);\n      r{2} = s.value();\n",
                            int{n.a}, int{n.b}, int{n.to});
    } else if (n.is == operation::scan_back) {
      advance = fmt::format(
          "      const float change = r{0};\n      s.advance(0.0f, r{1});\n      r{2} = s.value();\n"
          "      s.advance(change, 0.0f);\n      keep.advance(change, 0.0f);\n",
          int{n.a}, int{n.b}, int{n.to});
    } else {
      (is_after ? after : before) += statement(n, "p{0}[t * c.of[{0}].step[8]]");
    }
    is_after = is_after || !advance.empty();
  }
  std::string operands;
  for (int k = 0; k < h; ++k)
    operands += fmt::format("  const float* __restrict__ p{0} = c.of[{0}].data + at[{0}];\n", k);
  const auto over_chunk = [&](const std::string& body) {
    return fmt::format(
        "{0}"
        "  const long long first = part * c.chunk, last = first + c.chunk < c.tokens ? first + c.chunk : c.tokens;\n"
        "#pragma unroll 4\n"
        "  for (long long i = first; i < last; ++i) {{\n"
        "      const long long t = {1};\n{2}{3}"
        "  }}\n",
        operands, p.scan() == operation::scan_back ? "c.tokens - 1 - i" : "i", registers(p), body);
  };
  const auto kernel = [&](std::string_view name, std::string_view arguments, const std::string& body) {
    return fmt::format(
        "extern \"C\" __global__ void {}(const call c{}) {{\n"
        "  const long long lane = (long long)blockIdx.x * blockDim.x + threadIdx.x, part = blockIdx.y;\n"
        "  if (lane >= c.entries) return;\n"
        "  long long at[{}];\n"
        "  move(c, (unsigned long long)lane, at);\n"
        "  float& h = c.of[{}].data[at[{}]];\n{}}}\n",
        name, arguments, y + 1, h, h, body);
  };
  std::string text = functions_of(p) + call_type(y + 1);
  text += of_states;
  text += kernel("summarise", ", double* keeps, double* owns",
                 "  state s(0.0), keep(1.0);\n" + over_chunk(before + advance) +
                     "  keeps[part * c.entries + lane] = keep.exact();\n"
                     "  owns[part * c.entries + lane] = s.exact();\n");
  text += kernel("carry", ", long long chunks, const double* keeps, double* owns",
                 "  double before = h;\n"
                 "#pragma unroll 8\n"
                 "  for (long long k = 0; k < chunks; ++k) {\n"
                 "    const double next = fma(keeps[k * c.entries + lane], before, owns[k * c.entries + lane]);\n"
                 "    owns[k * c.entries + lane] = before;\n"
                 "    before = next;\n"
                 "  }\n"
                 "  h = (float)before;\n");
  text +=
      kernel("finish", ", const double* states",
             fmt::format("  state s(states == nullptr ? (double)h : states[part * c.entries + lane]), keep(1.0);\n"
                         "  float* __restrict__ to = c.of[{0}].data + at[{0}];\n",
                         y) +
                 over_chunk(before + advance + after +
                            fmt::format("      to[t * c.of[{}].step[8]] = r{};\n", y, int{p.instructions.back().to})) +
                 "  if (states == nullptr) h = s.value();\n");
  return text;
}

}  // namespace alphaform::cuda
