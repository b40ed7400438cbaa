#include <fmt/format.h>

#include <algorithm>
#include <alphaform/backends/cuda/programs/source.hpp>
#include <alphaform/backends/cuda/programs/translate.hpp>
#include <cstdlib>
#include <string_view>
#include <vector>

namespace alphaform::cuda {

namespace {

using operation = pointwise::operation;

/// A warp has a lane of the recurrence, each of its threads `run` tokens of a chunk in a row; for state after state it
/// scans them: from 0 within a thread, then over threads, then again from the state that comes to each. Streams of the
/// next chunk, and write and read of the next four states, are on their way to shared memory meanwhile.
///
/// From chunk to chunk a state is not rounded: h <- exp(l sum a) h + what the chunk adds, in double, so that decays
/// near 1 do not drift.
constexpr std::string_view of_states = R"(
struct steps {{ long long run, states, log_decay, write, read, h; }};
constexpr int run = {run}, lanes = {lanes}, rows = {rows}, chunk = 32 * run, row = chunk + 4,
              factor_row = chunk + 8, threads = 32 * lanes,
              fours = run / 4, together = 4, at_once = 2;  // states
constexpr long long write_step = {write_step}, read_step = {read_step}, to_step = {to_step};
constexpr float log2_e = 1.44269504088896341f, log_2 = 0.693147180559945309f, lowest = -1e30f;

// Token t of a row: a thread's fours are apart so that eight threads read them from all banks.
__device__ inline int place(int t) {{
  const int four = (t % run / 4) ^ (t / 32 & (fours - 1));
  return t / run * run + four * 4 + t % 4;
}}
// Where tokens t, t + 32 and so on of a row are in shared memory, the offsets of those of an index left out.
struct places {{
  unsigned of[fours];
  __device__ explicit places(int t) {{
#pragma unroll
    for (int j = 0; j < fours; ++j) of[j] = 4 * (place(t + 32 * j) - 32 * j);
  }}
}};
__device__ inline unsigned address(const float* p) {{ return (unsigned)__cvta_generic_to_shared(p); }}
// Brings a number; 0, and `from` is not read, where it does not exist. Offsets are in bytes.
#define BRING(to, to_offset, from, from_offset, exists)                                                        \
  asm volatile("cp.async.ca.shared.global [%0+" #to_offset "], [%1+" #from_offset "], 4, %2;" ::"r"(to), "l"(from), \
               "r"((exists) ? 4 : 0))
__device__ inline void before(const float* v, float& a, float& w) {{
{registers}{before}      a = r{a};
      w = r{w};
}}
__device__ inline float after(const float* v, float sum) {{
{registers}{before}      r{to} = sum;
{after}      return r{result};
}}
__device__ inline double decay_of(float l) {{ return l > -0.5f ? 1.0 + (double)expm1f(l) : (double)expf(l); }}
__device__ inline float4 four_of(const float* line, int thread, int q) {{
  return *reinterpret_cast<const float4*>(line + place(thread * run + q * 4));
}}
__device__ inline float& part(float4& v, int j) {{ return j == 0 ? v.x : j == 1 ? v.y : j == 2 ? v.z : v.w; }}

extern "C" __global__ void __launch_bounds__(threads) states(const call c, const steps n) {{
  extern __shared__ float4 memory[];
  // Of a multiple of four states; those that are not there are 0.
  const int given = (int)n.states, states = (given + together - 1) / together * together;
  const int warp = threadIdx.x / 32, thread = threadIdx.x % 32;
  float* const streams = reinterpret_cast<float*>(memory);
  float* const factors = streams + 2 * rows * lanes * row;
  double* const of_lanes = reinterpret_cast<double*>(factors + 2 * {brought_factors} * together * factor_row);
  double* const h = of_lanes + warp * states;
  float* const decay = reinterpret_cast<float*>(of_lanes + lanes * states) + warp * (3 + {kept_factors}) * states;
  float *const made = decay + states, *const kept = made + states, *const stays = kept + states;

  const unsigned columns = (unsigned)((n.run + lanes - 1) / lanes), column = blockIdx.x % columns;
  const auto find = [&](int lane, long long* at) {{
    const long long along = (long long)column * lanes + lane;
    const bool exists = along < n.run;
    move(c, (unsigned long long)(blockIdx.x / columns * n.run + (exists ? along : 0)), at);
    return exists;
  }};
  const auto first = [&](const lies& o, long long at) {{
    return o.data + at + ({back} ? (c.tokens - 1) * o.step[8] : 0);
  }};
  long long at[{places}];

  // The lane of this warp: its states, and what stays the same for all tokens.
  const bool has_lane = find(warp, at);
  float* const h_of = c.of[{h}].data + at[{h}];
  for (int i = thread; i < states; i += 32) {{
    const auto of = [&](const lies& o, long long at, long long step) {{ return i < given ? o.data[at + i * step] : 0.0f; }};
    kept[i] = of(c.of[{h}], at[{h}], n.h);
    h[i] = (double)kept[i];
    decay[i] = {one_decay} ? 1.0f : fmaxf(of(c.of[{l}], at[{l}], n.log_decay), lowest) * log2_e;
    if ({write_stays}) stays[i] = of(c.of[{b}], at[{b}], n.write);
    if ({read_stays}) stays[({kept_factors} - 1) * states + i] = of(c.of[{r}], at[{r}], n.read);
  }}
{stays}
  // The lane whose streams this thread brings.
  const int own = threadIdx.x % lanes, begin = threadIdx.x / lanes;
  const bool brings = find(own, at);
{operands}  float* const to = first(c.of[{y}], at[{y}]);
  // The state of every four, and the token, whose write and read it brings.
  const int own_state = threadIdx.x % together, own_token = threadIdx.x / together;
  const places stream_places(begin), factor_places(own_token);
  const float* const writes = first(c.of[{b}], at[{b}]) + own_token * write_step + own_state * n.write;
  const float* const reads = first(c.of[{r}], at[{r}]) + own_token * read_step + own_state * n.read;

  const auto count = [&](long long i0) {{ return (int)(c.tokens - i0 < chunk ? c.tokens - i0 : chunk); }};
  // A quarter of the tokens of every thread at a time.
  const auto bring_streams = [&](long long i0, int buffer, int quarter) {{
    const unsigned line = address(streams) + 4 * (buffer * rows * lanes + own) * row;
    const int left = (brings ? count(i0) : 0) - begin;
    unsigned to[fours];
#pragma unroll
    for (int j = 0; j < fours; ++j) to[j] = line + stream_places.of[j];
{bring_streams}  }};
  const auto bring_factors = [&](long long i0, int first_state, int buffer) {{
    const unsigned line = address(factors) + 4 * (buffer * {brought_factors} * together + own_state) * factor_row;
    const int left = (first_state + own_state < given ? count(i0) : 0) - own_token;
    unsigned to[fours];
#pragma unroll
    for (int j = 0; j < fours; ++j) to[j] = line + factor_places.of[j];
    const float* const from_write = writes + i0 * write_step + first_state * n.write;
    const float* const from_read = reads + i0 * read_step + first_state * n.read;
{bring_factors}  }};

  for (int quarter = 0; quarter < 4; ++quarter) bring_streams(0, 0, quarter);
  bring_factors(0, 0, 0);
  asm volatile("cp.async.commit_group;");
  int which = 0, which_factors = 0;
  for (long long i0 = 0; i0 < c.tokens; i0 += chunk, which ^= 1) {{
    const bool more = i0 + chunk < c.tokens;
    float* const line = streams + (which * rows * lanes + warp) * row;
    const int here = count(i0);
    float a[run], w[run], y[run], same[run], sum = 0.0f;
    for (int first_state = 0; first_state < states; first_state += together, which_factors ^= 1) {{
      asm volatile("cp.async.wait_all;" ::: "memory");
      __syncthreads();
      // What comes next, a third of the warps after the other: all at once would wait for each other.
      const auto bring_next = [&] {{
        if (first_state + together < states)
          bring_factors(i0, first_state + together, which_factors ^ 1);
        else if (more)
          bring_factors(i0 + chunk, 0, which_factors ^ 1);
        for (int quarter = 0; more && quarter < 4; ++quarter)
          if (quarter * states / 4 / together * together == first_state) bring_streams(i0 + chunk, which ^ 1, quarter);
      }};
      if (first_state == 0) {{
#pragma unroll
        for (int q = 0; q < fours; ++q) {{
{fours}#pragma unroll
          for (int j = 0; j < 4; ++j) {{
            const int t = q * 4 + j;
            const float v[] = {{{values}}};
            before(v, a[t], w[t]);
            const bool exists = thread * run + t < here;
            a[t] = exists ? fmaxf(a[t], lowest){of_one_decay} : 0.0f;
            w[t] = exists ? w[t] : 0.0f;
            if ({one_decay}) same[t] = exp2f(a[t]);
            y[t] = 0.0f;
            sum += a[t];
          }}
        }}
      }}
      const float* const brought = factors + which_factors * {brought_factors} * together * factor_row;
#pragma unroll
      for (int k0 = 0; k0 < together; k0 += at_once) {{
        const int first_of_pair = first_state + k0;
        if (warp / 4 % 3 == k0 / at_once) bring_next();
        float wrote[at_once][run], e[at_once][run], s[at_once] = {{}}, keeps[at_once], now[at_once];
#pragma unroll
        for (int k = 0; k < at_once; ++k) {{
          const float l = decay[first_of_pair + k];
#pragma unroll
          for (int q = 0; q < fours; ++q) {{
            float4 b;
            if ({write_stays}) b.x = b.y = b.z = b.w = stays[first_of_pair + k];
            else b = four_of(brought + (k0 + k) * factor_row, thread, q);
#pragma unroll
            for (int j = 0; j < 4; ++j) {{
              const int t = q * 4 + j;
              e[k][t] = {one_decay} ? same[t] : exp2f(a[t] * l);
              wrote[k][t] = w[t] * part(b, j);
              s[k] = {back} ? (s[k] + wrote[k][t]) * e[k][t] : fmaf(e[k][t], s[k], wrote[k][t]);
            }}
          }}
          keeps[k] = exp2f(sum * l);
        }}
#pragma unroll
        for (int d = 1; d < 32; d *= 2) {{
#pragma unroll
          for (int k = 0; k < at_once; ++k) {{
            const float s_before = __shfl_up_sync(0xffffffffu, s[k], d),
                        keeps_before = __shfl_up_sync(0xffffffffu, keeps[k], d);
            if (thread >= d) {{
              s[k] = fmaf(keeps[k], s_before, s[k]);
              keeps[k] *= keeps_before;
            }}
          }}
        }}
#pragma unroll
        for (int k = 0; k < at_once; ++k) {{
          if (thread == 31) made[first_of_pair + k] = s[k];
          now[k] = __shfl_up_sync(0xffffffffu, s[k], 1);
          keeps[k] = __shfl_up_sync(0xffffffffu, keeps[k], 1);
          now[k] = thread == 0 ? kept[first_of_pair + k] : fmaf(keeps[k], kept[first_of_pair + k], now[k]);
        }}
#pragma unroll
        for (int k = 0; k < at_once; ++k) {{
#pragma unroll
          for (int q = 0; q < fours; ++q) {{
            float4 r;
            if ({read_stays}) r.x = r.y = r.z = r.w = stays[({kept_factors} - 1) * states + first_of_pair + k];
            else r = four_of(brought + (({brought_factors} - 1) * together + k0 + k) * factor_row, thread, q);
#pragma unroll
            for (int j = 0; j < 4; ++j) {{
              const int t = q * 4 + j;
              now[k] = {back} ? now[k] + wrote[k][t] : fmaf(e[k][t], now[k], wrote[k][t]);
              y[t] = fmaf(part(r, j), now[k], y[t]);
              if ({back}) now[k] *= e[k][t];
            }}
          }}
        }}
      }}
      if (warp / 4 % 3 == 2) bring_next();
    }}
#pragma unroll
    for (int q = 0; q < fours; ++q) {{
{fours}      float4 result;
#pragma unroll
      for (int j = 0; j < 4; ++j) {{
        const float v[] = {{{values}}};
        part(result, j) = after(v, y[q * 4 + j]);
      }}
      *reinterpret_cast<float4*>(line + place(thread * run + q * 4)) = result;
    }}
#pragma unroll
    for (int d = 16; d > 0; d /= 2) sum += __shfl_xor_sync(0xffffffffu, sum, d);
    __syncwarp();
    for (int i = thread; i < states; i += 32) {{
      h[i] = fma(decay_of(sum * decay[i] * log_2), h[i], (double)made[i]);
      kept[i] = (float)h[i];
    }}
    __syncthreads();
    const float* const results = streams + (which * rows * lanes + own) * row;
    const int left = brings ? count(i0) : 0;
    float* there = to + (i0 + begin) * to_step;
#pragma unroll
    for (int j = 0; j < run; ++j) {{
      if (begin + 32 * j < left) *there = results[stream_places.of[j % fours] / 4 + 32 * j];
      there += 32 * to_step;
    }}
  }}
  if (has_lane)
    for (int i = thread; i < given; i += 32) h_of[i * n.h] = kept[i];
}}
)";

}  // namespace

std::size_t states_layout::shared(std::size_t states) const {
  const std::size_t padded = (states + 3) / 4 * 4, row = 32 * run + 4,
                    streams = 2 * std::max<std::size_t>(varying(), 1) * lanes * row,
                    factors = 2 * (!write_stays + !read_stays) * 4 * (row + 4),
                    kept = (3 + write_stays + read_stays) * lanes * padded;
  return (streams + factors + kept) * sizeof(float) + lanes * padded * sizeof(double);
}

std::size_t states_layout::varying() const {
  return static_cast<std::size_t>(
      std::count_if(token_steps.begin(), token_steps.end() - 5, [](auto step) { return step != 0; }));
}

std::string translated_states(const pointwise& p, const states_layout& s) {
  const int count = p.operands, l = count, b = l + 1, r = b + 1, h = r + 1, y = h + 1, row = 32 * s.run + 4;
  std::string before, after;
  pointwise::instruction states{};
  for (const auto& n : p.instructions) {
    if (n.is == operation::states || n.is == operation::states_back)
      states = n;
    else
      (states.is == operation::load ? before : after) += statement(n, "v[{}]");
  }
  const bool back = states.is == operation::states_back;
  const auto step = [&](int k) { return (back ? -1 : 1) * s.token_steps[static_cast<std::size_t>(k)]; };
  // Number j of some tokens, each `apart` from the one before; rows are told by where they begin.
  const auto bring = [&](int j, int apart, int to_row, const std::string& from, std::int64_t from_step) {
    const int fours = s.run / 4;
    const std::int64_t numbers = j * apart * from_step, bytes = 4 * numbers;
    const bool is_small = std::abs(bytes) < std::int64_t{1} << 31;  // so that it can be part of an address
    return fmt::format("    BRING(to[{}], {}, {}, {}, {} < left);\n", j * apart / 32 % fours, 4 * (to_row + j * apart),
                       is_small ? from : fmt::format("{} + {}ll", from, numbers), is_small ? bytes : 0, j * apart);
  };

  std::string stays, operands, fours, values, bring_streams, bring_factors;
  std::vector<int> varying;
  for (int k = 0; k < count; ++k) {
    if (k > 0) values += ", ";
    if (step(k) == 0) {
      stays += fmt::format("  const float v{0} = c.of[{0}].data[at[{0}]];\n", k);
      values += fmt::format("v{}", k);
      continue;
    }
    operands += fmt::format("  const float* const p{0} = first(c.of[{0}], at[{0}]);\n", k);
    bring_streams += fmt::format("    const float* const from{0} = p{0} + (i0 + begin) * {1};\n", k, step(k));
    fours += fmt::format("          float4 v{} = four_of(line + {} * lanes * row, thread, q);\n", k, varying.size());
    values += fmt::format("part(v{}, j)", k);
    varying.push_back(k);
  }
  if (values.empty()) values = "0.0f";
  for (int j = 0; j < s.run; ++j) {
    if (j % (s.run / 4) == 0) bring_streams += fmt::format("    if (quarter == {}) {{\n", j / (s.run / 4));
    for (std::size_t k = 0; k < varying.size(); ++k)
      bring_streams +=
          bring(j, 32, static_cast<int>(k) * s.lanes * row, fmt::format("from{}", varying[k]), step(varying[k]));
    if ((j + 1) % (s.run / 4) == 0) bring_streams += "    }\n";
  }
  const int apart = 8 * s.lanes, brought_factors = !s.write_stays + !s.read_stays;
  for (int j = 0; j * apart < 32 * s.run; ++j) {
    const bool all = (j + 1) * apart <= 32 * s.run;
    if (!all) bring_factors += fmt::format("    if (own_token < {}) {{\n", 32 * s.run - j * apart);
    if (!s.write_stays) bring_factors += bring(j, apart, 0, "from_write", step(b));
    if (!s.read_stays)
      bring_factors += bring(j, apart, 4 * (brought_factors - 1) * (32 * s.run + 8), "from_read", step(r));
    if (!all) bring_factors += "    }\n";
  }
  const int rows = std::max<int>(static_cast<int>(varying.size()), 1);
  return functions_of(p) + call_type(y + 1) +
         fmt::format(of_states, fmt::arg("run", s.run), fmt::arg("lanes", s.lanes), fmt::arg("rows", rows),
                     fmt::arg("registers", registers(p)), fmt::arg("before", before), fmt::arg("after", after),
                     fmt::arg("a", int{states.a}), fmt::arg("w", int{states.b}), fmt::arg("to", int{states.to}),
                     fmt::arg("result", int{p.instructions.back().to}), fmt::arg("places", y + 1), fmt::arg("l", l),
                     fmt::arg("b", b), fmt::arg("r", r), fmt::arg("h", h), fmt::arg("y", y), fmt::arg("stays", stays),
                     fmt::arg("operands", operands), fmt::arg("fours", fours), fmt::arg("values", values),
                     fmt::arg("bring_streams", bring_streams), fmt::arg("bring_factors", bring_factors),
                     fmt::arg("write_stays", s.write_stays), fmt::arg("read_stays", s.read_stays),
                     fmt::arg("brought_factors", brought_factors), fmt::arg("kept_factors", 2 - brought_factors),
                     fmt::arg("one_decay", s.one_decay),
                     // One decay for all states: the factor l is 1.
                     fmt::arg("of_one_decay", s.one_decay ? " * log2_e" : ""), fmt::arg("back", back),
                     fmt::arg("write_step", step(b)), fmt::arg("read_step", step(r)), fmt::arg("to_step", step(y)));
}

}  // namespace alphaform::cuda
