// Recurrences whose streams differ from state to state where chunks take them to be the same, and bonuses.
#include <alphaform/backends/cuda/launch.cuh>
#include <alphaform/backends/cuda/states/plainly.hpp>

namespace alphaform::cuda {
namespace {

constexpr axis time = axis::token;
constexpr int plain_threads = 128, tokens_at_once = 8;

enum stream : int { decay_u, decay_v, write_u, write_v, read_u, read_v, given, bonus_u, bonus_v, streams };

struct plain_recurrence final {
  layout<streams + 2> results;  ///< of the streams, h and y: over what y has
  layout<streams + 1> summed;   ///< of the streams and h: over what y is a sum of
  const float* from[streams];
  std::int64_t token[streams];
  float *h, *y;
  std::int64_t y_token;
  std::uint64_t tokens;
  bool logarithmic, decay_first, read_first, bonus;
};

/// What one state adds to the results of some tokens, and the state after them.
__device__ double step_plainly(const plain_recurrence& r, const float* const (&at)[streams], std::uint64_t first,
                               double h, double (&sums)[tokens_at_once]) {
  for (int j = 0; j < tokens_at_once && first + j < r.tokens; ++j) {
    double now[streams];
    for (int k = 0; k < streams; ++k) now[k] = at[k][static_cast<std::int64_t>(first + j) * r.token[k]];
    double change = now[decay_u] * now[decay_v];
    if (r.logarithmic) change = isnan(change) ? 0 : expm1(change);
    const double written = now[write_u] * now[write_v] * now[given], read = now[read_u] * now[read_v];
    if (r.read_first) sums[j] += read * h;
    if (r.decay_first) h += change * h;
    h += written;
    if (!r.read_first) sums[j] += read * h;
    if (!r.decay_first) h += change * h;
    if (r.bonus) sums[j] += now[bonus_u] * now[bonus_v] * read * written;
  }
  return h;
}

/// A block makes the results of one lane; its threads go over what is summed.
__global__ void __launch_bounds__(plain_threads) unrolled_plainly_kernel(const plain_recurrence r, double* states) {
  __shared__ double parts[tokens_at_once][plain_threads];
  const auto lane = places_of(r.results, blockIdx.x);
  float* const y = r.y + lane.at[streams + 1];
  double* const own = states + blockIdx.x * r.summed.entries;
  for (std::uint64_t first = 0; first < r.tokens; first += tokens_at_once) {
    double sums[tokens_at_once]{};
    for (std::uint64_t e = threadIdx.x; e < r.summed.entries; e += plain_threads) {
      const auto entry = places_of(r.summed, e);
      const float* at[streams];
      for (int k = 0; k < streams; ++k) at[k] = r.from[k] + lane.at[k] + entry.at[k];
      float* const h = r.h + lane.at[streams] + entry.at[streams];
      const double before = first == 0 ? *h : own[e];
      own[e] = step_plainly(r, at, first, before, sums);
      if (first + tokens_at_once >= r.tokens) *h = static_cast<float>(own[e]);
    }
    for (int j = 0; j < tokens_at_once; ++j) parts[j][threadIdx.x] = sums[j];
    for (unsigned apart = plain_threads / 2; apart > 0; apart /= 2) {
      __syncthreads();
      if (threadIdx.x < apart)
        for (int j = 0; j < tokens_at_once; ++j) parts[j][threadIdx.x] += parts[j][threadIdx.x + apart];
    }
    __syncthreads();
    if (threadIdx.x < tokens_at_once && first + threadIdx.x < r.tokens)
      y[static_cast<std::int64_t>(first + threadIdx.x) * r.y_token] = static_cast<float>(parts[threadIdx.x][0]);
    __syncthreads();
  }
}

/// A warp sums a product of three over the state.
__global__ void sums_over_state(const layout<3> l, std::uint32_t states, std::int64_t a_step, std::int64_t b_step,
                                std::int64_t c_step, const float* a, const float* b, const float* c, float* sums) {
  const std::uint64_t warps = static_cast<std::uint64_t>(gridDim.x) * blockDim.x / 32;
  for (std::uint64_t i = (static_cast<std::uint64_t>(blockIdx.x) * blockDim.x + threadIdx.x) / 32; i < l.entries;
       i += warps) {
    const auto at = places_of(l, i);
    float sum = 0;
    for (std::uint32_t n = threadIdx.x % 32; n < states; n += 32)
      sum = fmaf(a[at.at[0] + n * a_step] * b[at.at[1] + n * b_step], c[at.at[2] + n * c_step], sum);
    for (int apart = 16; apart > 0; apart /= 2) sum += __shfl_xor_sync(0xffffffffu, sum, apart);
    if (threadIdx.x % 32 == 0) sums[i] = sum;
  }
}

struct add_product final {
  __device__ void operator()(float bonus, float write, float read, float x, float sum, float& y) const {
    y = fmaf(bonus * write, read * (x * sum), y);
  }
};

}  // namespace

void unrolled_plainly(bool adjoint, const recurrence<float>& r, in x, out h, out y) {
  const factored<float>&write = adjoint ? r.read : r.write, &read = adjoint ? r.write : r.read;
  const factored<float> bonus = r.bonus.value_or(read);
  const in all[streams]{r.decay.u, r.decay.v, write.u, write.v, read.u, read.v, x, bonus.u, bonus.v};
  extents results = y.size, summed = h.size;
  at(results, time) = 1;
  for (std::size_t a = 0; a < axis_count; ++a)
    if (y.size[a] != 1) summed[a] = 1;
  plain_recurrence p{
      .results = layout_of(results, all[0], all[1], all[2], all[3], all[4], all[5], all[6], all[7], all[8], h, y),
      .summed = layout_of(summed, all[0], all[1], all[2], all[3], all[4], all[5], all[6], all[7], all[8], h),
      .h = h.data,
      .y = y.data,
      .tokens = y.of(time),
      .logarithmic = r.logarithmic,
      .decay_first = !adjoint || r.exclusive,
      .read_first = r.exclusive,
      .bonus = r.bonus.has_value()};
  const std::size_t last = adjoint ? y.of(time) - 1 : 0;
  const std::int64_t way = adjoint ? -1 : 1;
  for (int k = 0; k < streams; ++k) {
    p.from[k] = all[k].data + last * all[k].step(time);
    p.token[k] = way * static_cast<std::int64_t>(all[k].step(time));
  }
  p.y += last * y.step(time);
  p.y_token = way * static_cast<std::int64_t>(y.step(time));
  if (p.results.entries * p.summed.entries * p.tokens == 0) return;
  const scratch<double> states(p.results.entries * p.summed.entries);
  launch(unrolled_plainly_kernel, dim3(static_cast<unsigned>(p.results.entries)), dim3(plain_threads), 0, p,
         states.data());
}

void add_bonus(const recurrence<float>& r, in x, std::size_t states, out y) {
  const in a = r.bonus->v, b = r.write.v, c = r.read.v;
  extents size = together(together(a.size, b.size), c.size);
  at(size, axis::state) = 1;
  const scratch<float> sums(volume(size));
  const auto l = layout_of(size, a, b, c);
  const auto step = [](in v) { return static_cast<std::int64_t>(v.step(axis::state)); };
  constexpr unsigned threads = 256;
  const auto blocks =
      static_cast<unsigned>(std::min<std::uint64_t>((l.entries * 32 + threads - 1) / threads, 1u << 20));
  launch(sums_over_state, dim3(blocks), dim3(threads), 0, l, static_cast<std::uint32_t>(states), step(a), step(b),
         step(c), a.data, b.data, c.data, sums.data());
  each(y.size, add_product{}, r.bonus->u, r.write.u, r.read.u, x, in{sums.data(), size, contiguous(size)}, y);
}

}  // namespace alphaform::cuda
