#include <fmt/format.h>

#include <alphaform/backends/cuda/programs/source.hpp>
#include <alphaform/backends/cuda/programs/translate.hpp>

namespace alphaform::cuda {

namespace {

using operation = pointwise::operation;

/// A thread has some states of one lane, and in another role one lane's streams at every `groups`th token. Of a tile of
/// tokens it makes what the program asks of the states, takes its states through, and makes results of their sums;
/// streams of the next tile are under way while this one is worked on.
///
/// A state is not rounded from tile to tile: within one, what is written since its beginning (`own`) and what is left
/// of before (`kept`) are apart; at its end h <- exp(l sum a) h + own, in double, so that decays near 1 do not drift.
constexpr std::string_view of_states = R"(
struct steps {{ long long run, states, log_decay, write, read, h; }};
constexpr int each = {each}, groups = {groups}, lanes = {lanes}, tile = {tile}, threads = lanes * groups,
              row = tile + 4, width = each * groups, items = tile / groups, in_warp = 32 / groups, part = 16,
              rows = (width * tile + threads - 1) / threads;
constexpr float log2_e = 1.44269504088896341f, log_2 = 0.693147180559945309f, lowest = -1e30f;

__device__ inline void before(const float* v, float& a, float& w) {{
{registers}{before}      a = r{a};
      w = r{w};
}}
__device__ inline float after(const float* v, float sum) {{
{registers}{before}      r{to} = sum;
{after}      return r{result};
}}
__device__ inline double decay_of(float l) {{ return l > -0.5f ? 1.0 + (double)expm1f(l) : (double)expf(l); }}
__device__ inline float of(const float4& v, int j) {{ return j == 0 ? v.x : j == 1 ? v.y : j == 2 ? v.z : v.w; }}

struct tile_of {{
  float a[lanes][row], w[lanes][row], sums[lanes][row], write[{write_rows}][row], read[{read_rows}][row];
}};
struct shared {{
  tile_of tiles[2];
  float parts[threads / 32][part][32];
}};

extern "C" __global__ void __launch_bounds__(threads) states(const call c, const steps n) {{
  extern __shared__ float4 memory[];
  shared& s = *reinterpret_cast<shared*>(memory);
  const unsigned columns = (unsigned)((n.run + lanes - 1) / lanes), column = blockIdx.x % columns;
  const int own = threadIdx.x % lanes, begin = threadIdx.x / lanes, lane = threadIdx.x / groups,
            group = threadIdx.x % groups, warp = threadIdx.x / 32, in = threadIdx.x % 32;
  const auto place = [&](int l, long long* at) {{
    const long long along = (long long)column * lanes + l;
    const bool exists = along < n.run;
    move(c, (unsigned long long)(blockIdx.x / columns * n.run + (exists ? along : 0)), at);
    return exists;
  }};
  long long at[{places}];
  const bool has_lane = place(lane, at);
  float decay[each], write[each], read[each];
  double h[each];
  float* const h_of = c.of[{h}].data + at[{h}];
#pragma unroll
  for (int k = 0; k < each; ++k) {{
    const int i = k * groups + group;
    const bool exists = i < n.states;
    decay[k] = exists ? fmaxf(c.of[{l}].data[at[{l}] + i * n.log_decay], lowest) * log2_e : 0.0f;
    write[k] = exists && {write_stays} ? c.of[{b}].data[at[{b}] + i * n.write] : 0.0f;
    read[k] = exists && {read_stays} ? c.of[{r}].data[at[{r}] + i * n.read] : 0.0f;
    h[k] = exists ? (double)h_of[i * n.h] : 0.0;
  }}
  const bool makes = place(own, at);
{operands}  float* const to = c.of[{y}].data + at[{y}];
  const auto token = [&](long long i) {{ return {back} ? c.tokens - 1 - i : i; }};

  const auto fetch = [&](long long i0, float (&v)[items][{count}]) {{
#pragma unroll
    for (int j = 0; j < items; ++j) {{
      const long long i = i0 + begin + j * groups, t = token(i);
      const bool exists = makes && i < c.tokens;
{loads}    }}
  }};
  const float *const writes_of = c.of[{b}].data + at[{b}], *const reads_of = c.of[{r}].data + at[{r}];
  const auto fetch_rows = [&](const float* from, long long of_token, long long of_state, long long i0,
                              float (&v)[rows]) {{
#pragma unroll
    for (int j = 0; j < rows; ++j) {{
      const int e = threadIdx.x + j * threads, k = e % width;
      const long long i = i0 + e / width;
      v[j] = e < width * tile && k < n.states && i < c.tokens ? __ldg(from + token(i) * of_token + k * of_state) : 0.0f;
    }}
  }};
  const auto keep_rows = [&](const float (&v)[rows], float (*to)[row]) {{
#pragma unroll
    for (int j = 0; j < rows; ++j) {{
      const int e = threadIdx.x + j * threads;
      if (e < width * tile) to[e % width][e / width] = v[j];
    }}
  }};
  const auto stage = [&](long long i0, const float (&v)[items][{count}], tile_of& x) {{
#pragma unroll
    for (int j = 0; j < items; ++j) {{
      float a = 0.0f, w = 0.0f;
      if (makes && i0 + begin + j * groups < c.tokens) before(v[j], a, w);
      x.a[own][begin + j * groups] = fmaxf(a, lowest){one_decay_scale};
      x.w[own][begin + j * groups] = w;
    }}
  }};
  const auto scan = [&](tile_of& x) {{
    float made[each], kept[each], total = 0.0f;
#pragma unroll
    for (int k = 0; k < each; ++k) made[k] = 0.0f, kept[k] = (float)h[k];
    for (int p = 0; p < tile; p += part) {{
#pragma unroll
      for (int q = 0; q < part; q += 4) {{
        const float4 as = *reinterpret_cast<const float4*>(&x.a[lane][p + q]),
                     ws = *reinterpret_cast<const float4*>(&x.w[lane][p + q]);
        float4 writes[each], reads[each];
#pragma unroll
        for (int k = 0; k < each; ++k) {{
          if (!{write_stays}) writes[k] = *reinterpret_cast<const float4*>(&x.write[k * groups + group][p + q]);
          if (!{read_stays}) reads[k] = *reinterpret_cast<const float4*>(&x.read[k * groups + group][p + q]);
        }}
#pragma unroll
        for (int j = 0; j < 4; ++j) {{
          const float a = of(as, j), w = of(ws, j);
          float sum = 0.0f, e = {one_decay} ? exp2f(a) : 0.0f;
          total += a;
#pragma unroll
          for (int k = 0; k < each; ++k) {{
            const float b = {write_stays} ? write[k] : of(writes[k], j), r = {read_stays} ? read[k] : of(reads[k], j);
            if (!{one_decay}) e = exp2f(a * decay[k]);
            if ({back}) {{
              made[k] = fmaf(w, b, made[k]);
              sum = fmaf(r, made[k] + kept[k], sum);
              made[k] *= e;
              kept[k] *= e;
            }} else {{
              made[k] = fmaf(e, made[k], w * b);
              kept[k] *= e;
              sum = fmaf(r, made[k] + kept[k], sum);
            }}
          }}
          s.parts[warp][q + j][in] = sum;
        }}
      }}
      __syncwarp();
#pragma unroll
      for (int e = in; e < part * in_warp; e += 32) {{
        const int t = e / in_warp, l = e % in_warp;
        float sum = 0.0f;
#pragma unroll
        for (int k = 0; k < groups / 4; ++k) {{
          const float4 four =
              *reinterpret_cast<const float4*>(&s.parts[warp][t][l * groups + (k + t) % (groups / 4) * 4]);
          sum += (four.x + four.y) + (four.z + four.w);
        }}
        x.sums[warp * in_warp + l][p + t] = sum;
      }}
      __syncwarp();
    }}
#pragma unroll
    for (int k = 0; k < each; ++k) h[k] = fma(decay_of(total{total_of} * log_2), h[k], (double)made[k]);
  }};

  float now[items][{count}], soon[items][{count}], soon_write[rows], soon_read[rows];
  const auto fetch_all = [&](long long i0) {{
    fetch(i0, soon);
    if (!{write_stays}) fetch_rows(writes_of, c.of[{b}].step[8], n.write, i0, soon_write);
    if (!{read_stays}) fetch_rows(reads_of, c.of[{r}].step[8], n.read, i0, soon_read);
  }};
  const auto stage_all = [&](long long i0, tile_of& x) {{
    stage(i0, soon, x);
    if (!{write_stays}) keep_rows(soon_write, x.write);
    if (!{read_stays}) keep_rows(soon_read, x.read);
  }};
  fetch_all(0);
  stage_all(0, s.tiles[0]);
  __syncthreads();
  for (long long i0 = 0; i0 < c.tokens; i0 += tile) {{
    const int which = (int)(i0 / tile % 2);
#pragma unroll
    for (int j = 0; j < items; ++j)
#pragma unroll
      for (int k = 0; k < {count}; ++k) now[j][k] = soon[j][k];
    const bool more = i0 + tile < c.tokens;
    if (more) fetch_all(i0 + tile);
    scan(s.tiles[which]);
    if (more) stage_all(i0 + tile, s.tiles[1 - which]);
    __syncthreads();
#pragma unroll
    for (int j = 0; j < items; ++j) {{
      const long long i = i0 + begin + j * groups;
      if (makes && i < c.tokens)
        to[token(i) * c.of[{y}].step[8]] = after(now[j], s.tiles[which].sums[own][begin + j * groups]);
    }}
  }}
  if (has_lane)
#pragma unroll
    for (int k = 0; k < each; ++k)
      if (k * groups + group < n.states) h_of[(k * groups + group) * n.h] = (float)h[k];
}}
)";

}  // namespace

std::size_t states_layout::shared() const {
  const std::size_t row = tile + 4, rows = (write_stays ? 1 : width()) + (read_stays ? 1 : width());
  return (2 * (3 * lanes + rows) * row + threads() / 32 * 16 * 32) * sizeof(float);
}

std::string translated_states(const pointwise& p, const states_layout& s) {
  const int count = p.operands, l = count, b = l + 1, r = b + 1, h = r + 1, y = h + 1;
  std::string before, after, operands, loads;
  pointwise::instruction states{};
  for (const auto& n : p.instructions) {
    if (n.is == operation::states || n.is == operation::states_back)
      states = n;
    else
      (states.is == operation::load ? before : after) += statement(n, "v[{}]");
  }
  for (int k = 0; k < count; ++k) {
    operands += fmt::format(
        "  const float* const p{0} = c.of[{0}].data + at[{0}];\n  const long long step{0} = c.of[{0}].step[8];\n", k);
    loads += fmt::format("      v[j][{0}] = exists ? __ldg(p{0} + t * step{0}) : 0.0f;\n", k);
  }
  return functions_of(p) + call_type(y + 1) +
         fmt::format(of_states, fmt::arg("each", s.each), fmt::arg("groups", s.groups), fmt::arg("lanes", s.lanes),
                     fmt::arg("tile", states_layout::tile), fmt::arg("registers", registers(p)),
                     fmt::arg("before", before), fmt::arg("after", after), fmt::arg("a", int{states.a}),
                     fmt::arg("w", int{states.b}), fmt::arg("to", int{states.to}),
                     fmt::arg("result", int{p.instructions.back().to}), fmt::arg("places", y + 1),
                     fmt::arg("count", count), fmt::arg("l", l), fmt::arg("b", b), fmt::arg("r", r), fmt::arg("h", h),
                     fmt::arg("y", y), fmt::arg("operands", operands), fmt::arg("loads", loads),
                     fmt::arg("write_stays", s.write_stays), fmt::arg("read_stays", s.read_stays),
                     fmt::arg("write_rows", s.write_stays ? 1 : s.width()),
                     fmt::arg("read_rows", s.read_stays ? 1 : s.width()), fmt::arg("one_decay", s.one_decay),
                     // One decay for all states: the factor l is 1, or in the streams.
                     fmt::arg("one_decay_scale", s.one_decay ? " * log2_e" : ""),
                     fmt::arg("total_of", s.one_decay ? "" : " * decay[k]"),
                     fmt::arg("back", states.is == operation::states_back));
}

}  // namespace alphaform::cuda
