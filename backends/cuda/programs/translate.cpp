#include <fmt/format.h>

#include <algorithm>
#include <alphaform/backends/cuda/programs/source.hpp>
#include <alphaform/backends/cuda/programs/translate.hpp>

namespace alphaform::cuda {

namespace {

using operation = pointwise::operation;

constexpr std::string_view of_fours = R"(
template <class Number>
__device__ inline float4 four(const lies& o, long long at) {
  const Number* const from = reinterpret_cast<const Number*>(o.data) + at;
  if (o.step[0] == 1) return four(from);
  const float v = wide(*from);
  return make_float4(v, v, v, v);
}
)";

// States that are followed for results of float32 are sums of two numbers: neither is a small change of a large state
// lost, nor is a product of decays near 1 rounded to them; of decay 0 nothing is left. A decay comes as a - 1.
constexpr std::string_view exact_state = R"(
struct state {
  float high, low;
  __device__ explicit state(float of, float rest = 0.0f) : high(of), low(rest) {}
  __device__ void advance(float a, float b) {
    const float product = a * high, change = product + b, of_b = change - product, sum = high + change,
                of_change = sum - high;
    const float lost = fmaf(a, high, -product) + ((product - (change - of_b)) + (b - of_b));
    low = fmaf(a, low, low) + (lost + ((high - (sum - of_change)) + (change - of_change)));
    high = sum;
  }
  __device__ float value() const { return high + low; }
  __device__ double exact() const { return (double)high + (double)low; }
};
)";
// For those of bfloat16 what a sum rounds off is added to the next one; after a large decay nothing is left of it.
constexpr std::string_view quick_state = R"(
struct state {
  float high, low;
  __device__ explicit state(float of, float rest = 0.0f) : high(of), low(rest) {}
  __device__ void advance(float a, float b) {
    const bool is_small = a > -0.5f;
    const float kept = is_small ? high : 0.0f,
                more = fmaf(is_small ? a : 1.0f + a, high, b + (is_small ? low : 0.0f));
    high = kept + more;
    low = more - (high - kept);
  }
  __device__ float value() const { return high; }
  __device__ double exact() const { return (double)high + (double)low; }
};
)";

/// A block takes 32 lanes and a tile of tokens, a warp a run of these. What a run makes of a state, h <- keep h + own,
/// is known before the state that comes to the tile, which block after block hands on; the order in which blocks take
/// tiles is that of their tickets, so that none waits for one that has not begun. Backwards a token's decay comes with
/// the next token. The states of a run are made again from its first one, or for results of bfloat16 by keep and own of
/// each token.
constexpr std::string_view of_scans = R"(
template <bool Value> struct known {{ static constexpr bool value = Value; }};
extern "C" __global__ void __launch_bounds__({warps} * 32, 2) scan(const call c, unsigned long long* shared_by_tiles) {{
  __shared__ double keeps[{warps}][32], owns[{warps}][32];
  __shared__ float2 starts[{warps}][32];
  __shared__ unsigned ticket;
  if (threadIdx.x == 0) ticket = (unsigned)atomicAdd(shared_by_tiles, 1ull);
  __syncthreads();
  const unsigned groups = (unsigned)((c.entries + 31) / 32), tile = ticket / groups, group = ticket % groups;
  const int warp = threadIdx.x / 32, thread = threadIdx.x % 32;
  const long long lane = (long long)group * 32 + thread;
  const bool exists = lane < c.entries;
  long long at[{places}];
  move(c, exists ? (unsigned long long)lane : 0, at);
  const long long begin = (long long)tile * ({warps} * {run}) + warp * {run}, left = c.tokens - begin;
  const int count = (int)(left < 0 ? 0 : left < {run} ? left : {run});
  const long long first = count == 0 ? 0 : {first};
{operands}  {result_type}* __restrict__ to = reinterpret_cast<{result_type}*>(c.of[{y}].data) + at[{y}] + first * c.of[{y}].step[8];
  const long long to_step = {way}c.of[{y}].step[8];
  // What some tokens read, all at once: else each load would wait for what is made of the one before.
  constexpr int some = 8;
  constexpr bool is_exact = {is_exact};
  float first_of[{run}], second_of[{run}];  // a - 1 and b of each token, or keep and own
  state own(0.0f), keep(1.0f);
  float change = 0.0f;  // of the token before
  // Those tokens of a run that are not there change nothing; most runs have all.
  const auto prepare = [&](auto has_all) {{
{begin}#pragma unroll
    for (int j0 = 0; j0 < {run}; j0 += some) {{
{loads}#pragma unroll
      for (int u = 0; u < some; ++u) {{
{registers}{before}        const bool is_there = has_all.value || j0 + u < count;
        const float a = is_there ? r{a} : 0.0f;
        const float decay = {change}, b = is_there ? r{b} : 0.0f;
        own.advance(decay, b);
        keep.advance(decay, 0.0f);
        change = a;
        first_of[j0 + u] = is_exact ? decay : keep.value();
        second_of[j0 + u] = is_exact ? b : own.value();
      }}
    }}
  }};
  count == {run} ? prepare(known<true>()) : prepare(known<false>());
{at_end}  keeps[warp][thread] = keep.exact();
  owns[warp][thread] = own.exact();
  __syncthreads();
  if (warp == 0) {{
    double all_kept = 1, all_own = 0;
#pragma unroll
    for (int w = 0; w < {warps}; ++w) {{
      all_own = fma(keeps[w][thread], all_own, owns[w][thread]);
      all_kept *= keeps[w][thread];
    }}
    // Either half of a state goes from tile to tile in one access with the number of the tile that it is for.
    volatile unsigned long long *const high = shared_by_tiles + 1 + lane, *const low = high + c.entries;
    double start = exists ? (double)c.of[{h}].data[at[{h}]] : 0.0;
    if (tile != 0 && exists) {{
      unsigned long long upper, lower;
      do upper = *high, lower = *low;
      while (upper >> 32 != tile || lower >> 32 != tile);
      start = (double)__uint_as_float((unsigned)upper) + (double)__uint_as_float((unsigned)lower);
    }}
    const double next = fma(all_kept, start, all_own);
    if ((long long)(tile + 1) * ({warps} * {run}) >= c.tokens) {{
      if (exists) c.of[{h}].data[at[{h}]] = (float)next;
    }} else if (exists) {{
      const float rounded = (float)next;
      const unsigned long long for_tile = (unsigned long long)(tile + 1) << 32;
      *high = for_tile | __float_as_uint(rounded);
      *low = for_tile | __float_as_uint((float)(next - (double)rounded));
    }}
#pragma unroll
    for (int w = 0; w < {warps}; ++w) {{
      starts[w][thread] = make_float2((float)start, (float)(start - (double)(float)start));
      start = fma(keeps[w][thread], start, owns[w][thread]);
    }}
  }}
  __syncthreads();
  if (!exists) return;
  const float2 start = starts[warp][thread];
  state now(start.x, start.y);
  const auto finish = [&](auto has_all) {{
{begin}#pragma unroll
    for (int j0 = 0; j0 < {run}; j0 += some) {{
{loads}#pragma unroll
      for (int u = 0; u < some; ++u) {{
{registers}{before}        if (is_exact) now.advance(first_of[j0 + u], second_of[j0 + u]);
        r{to} = is_exact ? now.value() : fmaf(first_of[j0 + u], start.x, second_of[j0 + u]);
{after}        if (has_all.value || j0 + u < count) put(to, r{result});
        to += to_step;
      }}
    }}
  }};
  count == {run} ? finish(known<true>()) : finish(known<false>());
}}
)";

}  // namespace

std::string translated(const pointwise& p, int at_once, const std::vector<number_format>& formats) {
  const int y = p.operands, places = y + 1;
  std::string parameters, fours, ones;
  const auto type = [&](int k) { return type_of(formats[static_cast<std::size_t>(k)]); };
  for (int k = 0; k < y; ++k) {
    const char* const comma = k == 0 ? "" : ", ";
    parameters += fmt::format("{}float v{}", comma, k);
    fours += fmt::format("{}v{}.#", comma, k);
    ones += fmt::format("{0}wide(reinterpret_cast<const {2}*>(c.of[{1}].data)[at[{1}]])", comma, k, type(k));
  }
  std::string text = functions_of(p) + call_type(places) + std::string(access_to_numbers);
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
    for (int k = 0; k < y; ++k)
      text += fmt::format("    const float4 v{0} = four<{1}>(c.of[{0}], at[{0}]);\n", k, type(k));
    text += "    float4 to;\n";
    for (const char part : {'x', 'y', 'z', 'w'}) {
      std::string of_part = fours;
      std::replace(of_part.begin(), of_part.end(), '#', part);
      text += fmt::format("    to.{} = value({});\n", part, of_part);
    }
    text += fmt::format("    put(reinterpret_cast<{1}*>(c.of[{0}].data) + at[{0}], to);\n", y, type(y));
  } else {
    text += fmt::format("    put(reinterpret_cast<{2}*>(c.of[{0}].data) + at[{0}], value({1}));\n", y, ones, type(y));
  }
  return text + "  }\n}\n";
}

std::string translated_scan(const pointwise& p, const std::vector<number_format>& formats) {
  const int h = p.operands, y = h + 1;
  const bool back = p.scan() == operation::scan_back;
  std::string before, after;
  int a = 0, b = 0, to = 0;
  bool is_after = false;
  for (const auto& n : p.instructions) {
    if (n.is == operation::scan || n.is == operation::scan_back) {
      a = n.a, b = n.b, to = n.to;
      is_after = true;
    } else {
      (is_after ? after : before) += statement(n, "v{0}[u]");
    }
  }
  const char* const way = back ? "-" : "";
  std::string operands, begin, arrays, loads;
  for (int k = 0; k < h; ++k) {
    const std::string_view type = type_of(formats[static_cast<std::size_t>(k)]);
    operands += fmt::format(
        "  const {1}* const __restrict__ p{0} = reinterpret_cast<const {1}*>(c.of[{0}].data) + at[{0}] + first * "
        "c.of[{0}].step[8];\n",
        k, type);
    begin += fmt::format("    const {1}* __restrict__ q{0} = p{0};\n", k, type);
    arrays += fmt::format("      float v{}[some];\n", k);
    loads += fmt::format(
        "        v{0}[u] = wide(*q{0});\n        if (has_all.value || j0 + u + 1 < count) q{0} += "
        "{1}c.of[{0}].step[8];\n",
        k, way);
  }
  loads = fmt::format("{}#pragma unroll\n      for (int u = 0; u < some; ++u) {{\n{}      }}\n", arrays, loads);
  const bool is_exact = formats.back() == number_format::whole;
  return functions_of(p) + call_type(y + 1) + std::string(access_to_numbers) +
         std::string(is_exact ? exact_state : quick_state) +
         fmt::format(of_scans, fmt::arg("warps", scan_warps), fmt::arg("run", scan_run), fmt::arg("is_exact", is_exact),
                     fmt::arg("places", y + 1), fmt::arg("h", h), fmt::arg("y", y), fmt::arg("operands", operands),
                     fmt::arg("begin", begin), fmt::arg("loads", loads),
                     fmt::arg("result_type", type_of(formats[static_cast<std::size_t>(y)])),
                     fmt::arg("first", back ? "c.tokens - 1 - begin" : "begin"), fmt::arg("way", way),
                     fmt::arg("registers", registers(p)), fmt::arg("before", before), fmt::arg("a", a),
                     fmt::arg("b", b), fmt::arg("change", back ? "change" : "a"),
                     fmt::arg("at_end", back ? "  own.advance(change, 0.0f);\n  keep.advance(change, 0.0f);\n" : ""),
                     fmt::arg("to", to), fmt::arg("after", after), fmt::arg("result", int{p.instructions.back().to}));
}

}  // namespace alphaform::cuda
