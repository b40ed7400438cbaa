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

/// A state is a sum of two numbers: neither is a small change of a large state lost, nor is a product of decays near 1
/// rounded to them; of decay 0 nothing is left. A block takes 32 lanes and a tile of tokens, a warp a run of these.
/// What a run makes of a state, h <- keep h + own, is known before the state that comes to the tile, which block after
/// block hands on; the order in which blocks take tiles is that of their tickets, so that none waits for one that has
/// not begun.
constexpr std::string_view of_scans = R"(
struct state {{
  float high, low;
  __device__ explicit state(double h) : high((float)h), low((float)(h - (double)(float)h)) {{}}
  __device__ void advance(float a, float b) {{
    const float product = a * high, change = product + b, of_b = change - product, sum = high + change,
                of_change = sum - high;
    const float lost = fmaf(a, high, -product) + ((product - (change - of_b)) + (b - of_b));
    low = fmaf(a, low, low) + (lost + ((high - (sum - of_change)) + (change - of_change)));
    high = sum;
  }}
  __device__ float value() const {{ return high + low; }}
  __device__ double exact() const {{ return (double)high + (double)low; }}
}};
extern "C" __global__ void __launch_bounds__({warps} * 32) scan(const call c, unsigned long long* shared_by_tiles) {{
  extern __shared__ float2 kept[];  // a and b of each token
  __shared__ double keeps[{warps}][32], owns[{warps}][32], starts[32];
  __shared__ unsigned ticket;
  if (threadIdx.x == 0) ticket = (unsigned)atomicAdd(shared_by_tiles, 1ull);
  __syncthreads();
  const unsigned groups = (unsigned)((c.entries + 31) / 32), tile = ticket / groups, group = ticket % groups;
  const int warp = threadIdx.x / 32, thread = threadIdx.x % 32;
  const long long lane = (long long)group * 32 + thread;
  const bool exists = lane < c.entries;
  long long at[{places}];
  move(c, exists ? (unsigned long long)lane : 0, at);
{operands}  {result_type}* __restrict__ to = reinterpret_cast<{result_type}*>(c.of[{y}].data) + at[{y}];
  const long long first = (long long)tile * ({warps} * {run}) + warp * {run};
  const int count = (int)(c.tokens - first < 0 ? 0 : c.tokens - first < {run} ? c.tokens - first : {run});
  float2* const own_kept = kept + warp * {run} * 32 + thread;
  // What some tokens read, all at once: else each load would wait for what is made of the one before.
  constexpr int some = 8;
  if (exists) {{
    for (int j0 = 0; j0 < count; j0 += some) {{
{loads}#pragma unroll
      for (int u = 0; u < some; ++u) {{
{registers}{before}        if (j0 + u < count) own_kept[(j0 + u) * 32] = make_float2(r{a}, r{b});
      }}
    }}
  }}
  state own(0.0), keep(1.0);
  if (exists) {{
    for (int j = 0; j < count; ++j) {{
      const float a = own_kept[j * 32].x, b = own_kept[j * 32].y;
      {{ state& s = own; {advance} }}
      keep.advance(a, 0.0f);
    }}
  }}
  keeps[warp][thread] = keep.exact();
  owns[warp][thread] = own.exact();
  __syncthreads();
  if (warp == 0) {{
    double all_kept = 1, all_own = 0;
    for (int w = 0; w < {warps}; ++w) {{
      all_own = fma(keeps[w][thread], all_own, owns[w][thread]);
      all_kept *= keeps[w][thread];
    }}
    // Either half of a state goes from tile to tile in one access with the number of the tile that it is for.
    volatile unsigned long long *const high = shared_by_tiles + 1 + lane, *const low = high + c.entries;
    double start = exists ? (double)c.of[{h}].data[at[{h}]] : 0.0;
    if (tile != 0 && exists) {{
      const auto await = [&](volatile unsigned long long* from) {{
        unsigned long long both;
        do both = *from;
        while (both >> 32 != tile);
        return (double)__uint_as_float((unsigned)both);
      }};
      start = await(high);
      start += await(low);
    }}
    starts[thread] = start;
    const double next = fma(all_kept, start, all_own);
    if ((long long)(tile + 1) * ({warps} * {run}) >= c.tokens) {{
      if (exists) c.of[{h}].data[at[{h}]] = (float)next;
    }} else if (exists) {{
      const state parts(next);
      const unsigned long long for_tile = (unsigned long long)(tile + 1) << 32;
      *high = for_tile | __float_as_uint(parts.high);
      *low = for_tile | __float_as_uint(parts.low);
    }}
  }}
  __syncthreads();
  if (!exists) return;
  double start = starts[thread];
  for (int w = 0; w < warp; ++w) start = fma(keeps[w][thread], start, owns[w][thread]);
  state s(start);
  for (int j0 = 0; j0 < count; j0 += some) {{
{loads}#pragma unroll
    for (int u = 0; u < some; ++u) {{
      if (j0 + u >= count) break;
      const long long i = first + j0 + u, t = {t};
{registers}{before}      const float a = own_kept[(j0 + u) * 32].x, b = own_kept[(j0 + u) * 32].y;
      {advance}
      r{to} = now;
{after}      put(to + t * c.of[{y}].step[8], r{result});
    }}
  }}
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
  // A token decays and adds in one order or the other; in between its state is read.
  const std::string_view advance = back ? "s.advance(0.0f, b); const float now = s.value(); s.advance(a, 0.0f);"
                                        : "s.advance(a, b); const float now = s.value();";
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
  const std::string_view t = back ? "c.tokens - 1 - i" : "i";
  std::string operands, arrays, loads;
  for (int k = 0; k < h; ++k) {
    operands +=
        fmt::format("  const {1}* __restrict__ p{0} = reinterpret_cast<const {1}*>(c.of[{0}].data) + at[{0}];\n", k,
                    type_of(formats[static_cast<std::size_t>(k)]));
    arrays += fmt::format("      float v{}[some];\n", k);
    loads += fmt::format("        v{0}[u] = wide(p{0}[t * c.of[{0}].step[8]]);\n", k);
  }
  loads = fmt::format(
      "{}#pragma unroll\n"
      "      for (int u = 0; u < some; ++u) {{\n"
      "        const long long i = first + min(j0 + u, count - 1), t = {};\n{}      }}\n",
      arrays, t, loads);
  return functions_of(p) + call_type(y + 1) + std::string(access_to_numbers) +
         fmt::format(of_scans, fmt::arg("warps", scan_warps), fmt::arg("run", scan_run), fmt::arg("places", y + 1),
                     fmt::arg("h", h), fmt::arg("y", y), fmt::arg("operands", operands), fmt::arg("loads", loads),
                     fmt::arg("result_type", type_of(formats[static_cast<std::size_t>(y)])), fmt::arg("t", t),
                     fmt::arg("registers", registers(p)), fmt::arg("before", before), fmt::arg("a", a),
                     fmt::arg("b", b), fmt::arg("advance", advance), fmt::arg("to", to), fmt::arg("after", after),
                     fmt::arg("result", int{p.instructions.back().to}));
}

}  // namespace alphaform::cuda
