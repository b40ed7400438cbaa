// Panels: for each line and chunk, what is read on the rows times the decays since the chunk's first token, and what is
// written on the columns times the decays up to its last one, filtered. One thread goes along one line.
#include <alphaform/backends/cuda/maps/lines.cuh>
#include <alphaform/backends/cuda/shared_memory.cuh>

namespace alphaform::cuda::maps {
namespace {

constexpr unsigned lines_at_once = 32;

/// One chunk's rows of a line, 0 behind the last token; the product of its decays.
template <bool Logarithmic>
__device__ product_of_decays<Logarithmic> read_rows(const channels& m, unsigned begin, unsigned c, unsigned n,
                                                    float weight, float* line) {
  product_of_decays<Logarithmic> decays;
  for (unsigned i = 0; i < chunk; ++i) {
    float entry = 0;
    if (const unsigned t = begin + i; t < m.tokens) {
      const float read = m.read(t, c) * m.read_state(t, c, n), change = m.change(t, c, n);
      if (m.exclusive) entry = read * decays.value();
      decays.extend(change);
      if (!m.exclusive) entry = read * decays.value();
    }
    line[i] = weight * (m.signless ? fabsf(entry) : entry);
  }
  return decays;
}

/// One chunk's columns, `reach` tokens early so that all taps of an entry lie in it: first without the filter, then
/// with it.
template <bool Logarithmic>
__device__ void write_columns(const channels& m, unsigned begin, unsigned c, unsigned n, float* line) {
  product_of_decays<Logarithmic> decays;
  for (unsigned i = chunk + m.reach; i-- > 0;) {
    float entry = 0;
    if (const unsigned t = begin + i - m.reach; begin + i >= m.reach && t < m.tokens) {
      entry = m.write(t, c) * m.write_state(t, c, n) * decays.value();
      decays.extend(m.change(t, c, n));
    }
    line[i] = entry;
  }
  for (unsigned i = 0; i < chunk; ++i) {
    float entry = m.tap(c, 0) * line[i];
    for (unsigned k = 1; k <= m.reach; ++k) entry = fmaf(m.tap(c, k), line[i + k], entry);
    line[i] = m.signless ? fabsf(entry) : entry;
  }
}

/// Lines lie side by side in the shared memory, as the threads go along them, and one after the other in the panels.
__device__ void store_lines(const float* shared, unsigned stride, unsigned first, const panels& p, float* panel) {
  for (unsigned i = threadIdx.y; i < lines_at_once && first + i < p.lines; i += blockDim.y)
    for (unsigned k = threadIdx.x; k < chunk; k += blockDim.x)
      panel[(static_cast<std::size_t>(blockIdx.y) * p.lines + first + i) * chunk + k] = shared[i * stride + k];
}

/// Threads: a line along x; rows are made by the first of y, columns by the second.
template <bool Logarithmic>
__global__ void fill_panels(const channels m, const panels p) {
  const unsigned stride = (chunk + m.reach) | 1, first = blockIdx.x * lines_at_once, line = first + threadIdx.x;
  float* const shared = shared_memory<float>();
  if (line < p.lines) {
    const unsigned c = p.channel + line / m.states, n = line % m.states, begin = blockIdx.y * chunk;
    float* const own = shared + (threadIdx.y * lines_at_once + threadIdx.x) * stride;
    if (threadIdx.y == 0) {
      const auto decays = read_rows<Logarithmic>(m, begin, c, n, m.sums() ? m.weight(c) : 1.0f, own);
      const std::size_t at = static_cast<std::size_t>(blockIdx.y) * p.lines + line;
      p.change[at] = decays.x;
      p.value[at] = m.signless ? fabsf(decays.value()) : decays.value();
    } else {
      write_columns<Logarithmic>(m, begin, c, n, own);
    }
  }
  __syncthreads();
  store_lines(shared, stride, first, p, p.rows);
  store_lines(shared + lines_at_once * stride, stride, first, p, p.columns);
}

/// Decays of all chunks between two, in double: there may be hundreds of them.
template <bool Logarithmic>
__global__ void fill_between(const channels m, const panels p) {
  const unsigned line = blockIdx.x * blockDim.x + threadIdx.x, j = blockIdx.y;
  if (line >= p.lines) return;
  double product = Logarithmic ? 0 : 1;
  for (unsigned i = j + 1; i < p.chunks; ++i) {
    if (i % 2 == 0) {
      const auto value = static_cast<float>(Logarithmic ? expf(static_cast<float>(product)) : product);
      const std::size_t pair = static_cast<std::size_t>(i / 2) * (i / 2 - 1) + j;
      p.between[pair * p.lines + line] = m.signless ? fabsf(value) : value;
    }
    const double change = p.change[static_cast<std::size_t>(i) * p.lines + line];
    product = Logarithmic ? product + change : product * (1 + change);
  }
}

template <bool Logarithmic>
void fill_all(const channels& m, const panels& p) {
  const std::size_t shared = 2 * lines_at_once * ((chunk + m.reach) | 1) * sizeof(float);
  launch(fill_panels<Logarithmic>, dim3((p.lines + lines_at_once - 1) / lines_at_once, p.chunks),
         dim3(lines_at_once, 2), shared, m, p);
  launch(fill_between<Logarithmic>, dim3((p.lines + 127) / 128, p.chunks), dim3(128), 0, m, p);
}

}  // namespace

void make(const channels& m, const panels& p) {
  if (m.logarithmic)
    fill_all<true>(m, p);
  else
    fill_all<false>(m, p);
}

}  // namespace alphaform::cuda::maps
