#include <fmt/format.h>

#include <algorithm>
#include <alphaform/backends/cuda/programs/source.hpp>
#include <alphaform/backends/cuda/programs/states_kernel.hpp>
#include <alphaform/backends/cuda/programs/translate.hpp>
#include <string_view>

namespace alphaform::cuda {

namespace {

constexpr std::string_view copies = R"(
__device__ inline unsigned address(const float* p) { return (unsigned)__cvta_generic_to_shared(p); }
// Brings so many bytes, and 0 for the rest; `from` is not read if there are none.
__device__ inline void copy4(unsigned to, const void* from, int bytes) {
  asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;" ::"r"(to), "l"(from), "r"(bytes));
}
__device__ inline void copy8(unsigned to, const void* from, int bytes) {
  asm volatile("cp.async.ca.shared.global [%0], [%1], 8, %2;" ::"r"(to), "l"(from), "r"(bytes));
}
__device__ inline void copy16(unsigned to, const void* from, int bytes) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to), "l"(from), "r"(bytes));
}
__device__ inline float part_of(const float4& v, int j) { return j == 0 ? v.x : j == 1 ? v.y : j == 2 ? v.z : v.w; }
)";

/// The operands of a program for four neighbouring lanes: constants are kept, others brought to shared memory.
class four_lanes final {
 public:
  four_lanes(const pointwise& p, const states_layout& s, bool back) {
    for (int k = 0; k < p.operands; ++k) {
      const auto step = (back ? -1 : 1) * s.token_steps[static_cast<std::size_t>(k)];
      if (step == 0)
        add_constant(k);
      else if (s.fours[static_cast<std::size_t>(k)])
        add_vector(k, step, s.formats[static_cast<std::size_t>(k)]);
      else if (s.one_for_lanes[static_cast<std::size_t>(k)])
        add_one_for_lanes(k, step);
      else
        add_lane_by_lane(k, step);
    }
  }
  std::string source() const {
    return fmt::format(
        "template <class Number> __device__ inline const Number* first_of(const lies& o, long long at, long long "
        "tokens);\n"
        "struct four_lanes {{\n"
        "{}"
        "  __device__ four_lanes(const call& c, const long long (*at)[places], int token) {{\n{}  }}\n"
        "  __device__ void bring(unsigned to, int further, bool there, const bool* exists) const {{\n{}  }}\n"
        "  __device__ void next() {{\n{}  }}\n"
        "  __device__ void take(const float* raw, float (&v)[4][values]) const {{\n{}  }}\n"
        "}};\n",
        members_, begin_, bring_, next_, take_);
  }
  int rows() const { return rows_; }

 private:
  void add_constant(int k) {
    members_ += fmt::format("  float v{}[4];\n", k);
    begin_ += fmt::format("    for (int j = 0; j < 4; ++j) v{0}[j] = c.of[{0}].data[at[j][{0}]];\n", k);
    take_ += fmt::format("    for (int j = 0; j < 4; ++j) v[j][{0}] = v{0}[j];\n", k);
  }
  void add_vector(int k, std::int64_t step, number_format format) {
    members_ += fmt::format("  const {}* p{};\n", type_of(format), k);
    begin_ += fmt::format("    p{0} = first_of<{2}>(c.of[{0}], at[0][{0}], c.tokens) + token * {1}ll;\n", k, step,
                          type_of(format));
    bring_ +=
        fmt::format("    copy{3}(to + {0} * 4 * tile * lanes, p{1} + further * {2}ll, there && exists[0] ? {3} : 0);\n",
                    rows_, k, step, format == number_format::whole ? 16 : 8);
    next_ += fmt::format("    p{} += tile * {}ll;\n", k, step);
    add_row(k, format);
  }
  void add_one_for_lanes(int k, std::int64_t step) {
    members_ += fmt::format("  const float* p{};\n", k);
    begin_ += fmt::format("    p{0} = first_of<float>(c.of[{0}], at[0][{0}], c.tokens) + token * {1}ll;\n", k, step);
    bring_ +=
        fmt::format("    copy4(to + {0} * 4 * tile * lanes, p{1} + further * {2}ll, there ? 4 : 0);\n", rows_, k, step);
    next_ += fmt::format("    p{} += tile * {}ll;\n", k, step);
    take_ += fmt::format("    for (int j = 0; j < 4; ++j) v[j][{0}] = raw[{1} * tile * lanes];\n", k, rows_);
    ++rows_;
  }
  void add_lane_by_lane(int k, std::int64_t step) {
    members_ += fmt::format("  const float* p{}[4];\n", k);
    begin_ += fmt::format(
        "    for (int j = 0; j < 4; ++j) p{0}[j] = first_of<float>(c.of[{0}], at[j][{0}], c.tokens) + token * {1}ll;\n",
        k, step);
    bring_ += fmt::format(
        "    for (int j = 0; j < 4; ++j)\n"
        "      copy4(to + {0} * 4 * tile * lanes + 4 * j, p{1}[j] + further * {2}ll, there && exists[j] ? 4 : 0);\n",
        rows_, k, step);
    next_ += fmt::format("    for (int j = 0; j < 4; ++j) p{}[j] += tile * {}ll;\n", k, step);
    add_row(k);
  }
  void add_row(int k, number_format format = number_format::whole) {
    take_ += fmt::format(
        "    const float4 x{0} = four(reinterpret_cast<const {2}*>(raw + {1} * tile * lanes));\n"
        "    for (int j = 0; j < 4; ++j) v[j][{0}] = part_of(x{0}, j);\n",
        k, rows_, type_of(format));
    ++rows_;
  }

  int rows_ = 0;
  std::string members_, begin_, bring_, next_, take_;
};

}  // namespace

std::size_t states_layout::varying() const {
  return static_cast<std::size_t>(
      std::count_if(token_steps.begin(), token_steps.end() - 5, [](auto step) { return step != 0; }));
}

// As the kernel lays it out.
std::size_t states_layout::shared() const {
  const auto q = static_cast<std::size_t>(quads), t = static_cast<std::size_t>(tile),
             p = static_cast<std::size_t>(parts), lines = 3 * 4 * q * (t + 4),
             factors = 4 * t * 16 * p * (!write_stays + !read_stays), raw = 4 * varying() * 4 * q * t,
             joins = q * p * 2 * 4 * 72;
  return (lines * (2 + p) + factors + raw + joins + 32) * sizeof(float);
}

std::string translated_states(const pointwise& p, const states_layout& s) {
  const int count = p.operands, l = count, b = l + 1, r = b + 1, h = r + 1, y = h + 1;
  std::string before, after;
  pointwise::instruction states{};
  for (const auto& n : p.instructions) {
    if (n.is == pointwise::operation::states || n.is == pointwise::operation::states_back)
      states = n;
    else
      (states.is == pointwise::operation::load ? before : after) += statement(n, "v[{}]");
  }
  const bool back = states.is == pointwise::operation::states_back;
  const auto step = [&](int k) { return (back ? -1 : 1) * s.token_steps[static_cast<std::size_t>(k)]; };
  const four_lanes operands(p, s, back);
  std::string text = functions_of(p) + call_type(y + 1) + std::string(access_to_numbers) + std::string(copies);
  const auto number = [&](std::string_view name, std::int64_t value) {
    text += fmt::format("constexpr {} {} = {};\n", name.ends_with("step") ? "long long" : "int", name, value);
  };
  number("places", y + 1);
  number("values", std::max(count, 1));
  number("quads", s.quads);
  number("parts", s.parts);
  number("tile", s.tile);
  number("rows", operands.rows());
  number("numbers", static_cast<std::int64_t>(s.shared() / sizeof(float)));
  number("l_index", l);
  number("b_index", b);
  number("r_index", r);
  number("h_index", h);
  number("y_index", y);
  number("one_decay", s.one_decay);
  number("write_stays", s.write_stays);
  number("read_stays", s.read_stays);
  number("write_pairs", s.write_pairs);
  number("read_pairs", s.read_pairs);
  number("to_fours", s.fours[static_cast<std::size_t>(y)]);
  number("back", back);
  number("write_step", step(b));
  number("read_step", step(r));
  number("to_step", step(y));
  text += fmt::format("constexpr int lanes = 4 * quads;\nusing to_number = {};\n",
                      type_of(s.formats[static_cast<std::size_t>(y)]));
  text += operands.source();
  text += fmt::format(
      "__device__ inline void before(const float* v, float& a, float& w) {{\n{0}{1}      a = r{2};\n      w = "
      "r{3};\n}}\n"
      "__device__ inline float after(const float* v, float sum) {{\n{0}{1}      r{4} = sum;\n{5}      return "
      "r{6};\n}}\n",
      registers(p), before, int{states.a}, int{states.b}, int{states.to}, after, int{p.instructions.back().to});
  return text + std::string(states_kernel);
}

}  // namespace alphaform::cuda
