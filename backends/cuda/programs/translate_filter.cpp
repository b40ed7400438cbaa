#include <fmt/format.h>

#include <alphaform/backends/cuda/programs/source.hpp>
#include <alphaform/backends/cuda/programs/translate.hpp>

namespace alphaform::cuda {

namespace {

constexpr std::string_view of_lanes = R"(
constexpr int lanes = {lanes}, taps = {taps}, before = taps - 1, ahead = 4;
struct some {{ float of[lanes]; }};
template <class Number>
__device__ inline some one(const Number* from) {{
  some all;
  const float v = wide(*from);
  for (int j = 0; j < lanes; ++j) all.of[j] = v;
  return all;
}}
template <class Number>
__device__ inline some each(const Number* from) {{
  if (lanes == 1) return one(from);
  some all;
  const float4 v = four(from);
  all.of[0] = v.x, all.of[lanes / 4] = v.y, all.of[lanes / 2] = v.z, all.of[lanes - 1] = v.w;
  return all;
}}
template <class Number>
__device__ inline void write(Number* to, const some& x) {{
  if (lanes == 4) put(to, make_float4(x.of[0], x.of[lanes / 4], x.of[lanes / 2], x.of[lanes - 1]));
  else put(to, x.of[0]);
}}
/// 0 where there is no such token, without a branch.
__device__ inline float of_existing(float x, bool exists) {{
  return __uint_as_float(__float_as_uint(x) & (exists ? 0xffffffffu : 0u));
}}
/// Taps from the last one, of the current token, to the first.
template <int Taps, class Number>
__device__ inline void read_taps(some (&w)[Taps], const Number* from, const lies& o) {{
  const bool in_fours = o.step[8] == 1 && o.step[0] % 4 == 0 && (unsigned long long)from % (4 * sizeof(Number)) == 0;
  if (Taps == 4 && in_fours) {{
    for (int j = 0; j < lanes; ++j) {{
      const float4 v = four(from + j * o.step[0]);
      w[0].of[j] = v.w, w[Taps / 4].of[j] = v.z, w[Taps / 2].of[j] = v.y, w[Taps - 1].of[j] = v.x;
    }}
    return;
  }}
  for (int k = 0; k < Taps; ++k)
    for (int j = 0; j < lanes; ++j) w[k].of[j] = wide(from[(Taps - 1 - k) * o.step[8] + j * o.step[0]]);
}}
)";

/// A thread goes over a run of tokens, and the few behind it that its first results need, of which others make results.
constexpr std::string_view of_filters = R"(
extern "C" __global__ void __launch_bounds__(128, 4) filter(const call c, long long run) {{
  const unsigned long long i = (unsigned long long)blockIdx.x * blockDim.x + threadIdx.x,
                           groups = (unsigned long long)c.entries / lanes, which = i / groups;
  const long long begin = (long long)which * run;
  if (begin >= c.tokens) return;
  const int made_here = (int)min(run, c.tokens - begin), read_here = (int)min(run + before, c.tokens - begin);
  long long at[{places}];
  move(c, (i - which * groups) * lanes, at);
{begin}  some w[taps], made[before + ahead];
  read_taps(w, reinterpret_cast<const {tap_type}*>(c.of[{taps_at}].data) + at[{taps_at}], c.of[{taps_at}]);
#pragma unroll
  for (int k = 0; k < before; ++k) made[k] = some{{}};
  {type}* to = reinterpret_cast<{type}*>(c.of[{y}].data) + at[{y}] + (begin - before) * c.of[{y}].step[8];
  const long long to_step = c.of[{y}].step[8];
  for (int t = 0; t < made_here + before; t += ahead) {{
{loads}#pragma unroll
    for (int r = 0; r < ahead; ++r) {{
{values}#pragma unroll
      for (int j = 0; j < lanes; ++j) made[before + r].of[j] = of_existing(value({arguments}), t + r < read_here);
    }}
#pragma unroll
    for (int r = 0; r < ahead; ++r) {{
      some sum{{}};
#pragma unroll
      for (int k = 0; k < taps; ++k)
#pragma unroll
        for (int j = 0; j < lanes; ++j) sum.of[j] = fmaf(w[k].of[j], made[r + k].of[j], sum.of[j]);
      if (t + r >= before && t + r < made_here + before) write(to, sum);
      to += to_step;
    }}
#pragma unroll
    for (int k = 0; k < before; ++k) made[k] = made[k + ahead];
{moves}  }}
}}
)";
constexpr std::string_view of_operands =
    R"(  const {type}* p{k} = reinterpret_cast<const {type}*>(c.of[{k}].data) + at[{k}] + begin * c.of[{k}].step[8];
  const long long s{k} = c.of[{k}].step[8];
  some x{k}[{past} + ahead];
)";
constexpr std::string_view of_loads = R"(#pragma unroll
    for (int r = 0; r < ahead; ++r) {{
      x{k}[{past} + r] = t + r < read_here ? {read}(p{k}) : some{{}};
      p{k} += s{k};
    }}
)";
constexpr std::string_view of_own_taps = R"(  some w{k}[{own}];
  read_taps(w{k}, reinterpret_cast<const {tap_type}*>(c.of[{at}].data) + at[{at}], c.of[{at}]);
#pragma unroll
  for (int k = 0; k < {past}; ++k) x{k}[k] = begin >= {past} - k ? {read}(p{k} - ({past} - k) * s{k}) : some{{}};
)";
constexpr std::string_view of_own_filter = R"(      some v{k}{{}};
#pragma unroll
      for (int k = 0; k < {own}; ++k)
#pragma unroll
        for (int j = 0; j < lanes; ++j) v{k}.of[j] = fmaf(w{k}[k].of[j], x{k}[{past} + r - k].of[j], v{k}.of[j]);
)";

}  // namespace

std::string translated_filter(const pointwise& p, const filter_layout& f) {
  const int y = p.operands, places = static_cast<int>(f.formats.size());
  const auto type = [&](int k) { return type_of(f.formats[static_cast<std::size_t>(k)]); };
  std::string parameters, begin, loads, values, arguments, moves;
  for (int k = 0, of_own = y + 2; k < y; ++k) {
    const filter_operand& v = f.operands[static_cast<std::size_t>(k)];
    const char* const comma = k == 0 ? "" : ", ";
    parameters += fmt::format("{}float v{}", comma, k);
    arguments += fmt::format("{}v{}.of[j]", comma, k);
    const std::string_view read = v.repeats ? "one" : "each";
    if (v.stays) {
      begin += fmt::format("  const some v{0} = {1}(reinterpret_cast<const {2}*>(c.of[{0}].data) + at[{0}]);\n", k,
                           read, type(k));
      continue;
    }
    const int past = v.taps > 0 ? v.taps - 1 : 0;
    const auto text_of = [&](std::string_view text) {
      return fmt::format(fmt::runtime(text), fmt::arg("k", k), fmt::arg("past", past), fmt::arg("own", v.taps),
                         fmt::arg("read", read), fmt::arg("at", of_own), fmt::arg("type", type(k)),
                         fmt::arg("tap_type", v.taps > 0 ? type(of_own) : type(k)));
    };
    begin += text_of(of_operands);
    loads += text_of(of_loads);
    if (v.taps == 0) {
      values += fmt::format("      const some v{0} = x{0}[r];\n", k);
      continue;
    }
    begin += text_of(of_own_taps);
    values += text_of(of_own_filter);
    moves += fmt::format("#pragma unroll\n    for (int k = 0; k < {1}; ++k) x{0}[k] = x{0}[k + ahead];\n", k, past);
    ++of_own;
  }
  std::string text = functions_of(p) + call_type(places) + std::string(access_to_numbers) +
                     "__device__ inline float value(" + parameters + ") {\n" + registers(p);
  for (const auto& n : p.instructions) text += statement(n, "v{}");
  text += fmt::format("      return r{};\n}}\n", int{p.instructions.back().to});
  return text + fmt::format(of_lanes, fmt::arg("lanes", f.lanes), fmt::arg("taps", f.taps)) +
         fmt::format(of_filters, fmt::arg("places", places), fmt::arg("y", y), fmt::arg("type", type(y)),
                     fmt::arg("tap_type", type(y + 1)), fmt::arg("taps_at", y + 1), fmt::arg("begin", begin),
                     fmt::arg("loads", loads), fmt::arg("values", values), fmt::arg("arguments", arguments),
                     fmt::arg("moves", moves));
}

}  // namespace alphaform::cuda
