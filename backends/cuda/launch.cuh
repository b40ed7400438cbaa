// Launches of kernels on the queue, and the loop over all entries of some operands.
#pragma once
#include <cuda_runtime.h>

#include <algorithm>
#include <alphaform/backends/cuda/device.hpp>
#include <alphaform/backends/cuda/layout.hpp>
#include <alphaform/backends/cuda/rehearsal.hpp>
#include <type_traits>
#include <utility>

namespace alphaform::cuda {

/// kernel<<<blocks, threads, shared bytes>>>(arguments...) on the queue. @throws user_error where it is refused
template <class... Parameters, class... Arguments>
void launch(void (*kernel)(Parameters...), dim3 blocks, dim3 threads, std::size_t shared, Arguments&&... arguments) {
  if (is_rehearsing()) return;
  cudaLaunchConfig_t how{};
  how.gridDim = blocks;
  how.blockDim = threads;
  how.dynamicSmemBytes = shared;
  how.stream = queue();
  check(cudaLaunchKernelEx(&how, kernel, std::forward<Arguments>(arguments)...), "start a kernel");
}

/// Where entry i of every operand lies.
template <int Operands>
struct places final {
  std::int64_t at[Operands];
};
template <int Operands>
__device__ inline places<Operands> places_of(const layout<Operands>& l, std::uint64_t i) {
  places<Operands> p{};
  if (l.entries <= l.most_in_32_bits) {  // products instead of divisions
    auto rest = static_cast<std::uint32_t>(i);
    for (int a = 0; a < l.axes; ++a) {
      std::uint32_t along = rest;
      if (a + 1 < l.axes) {
        const auto next =
            static_cast<std::uint32_t>((static_cast<std::uint64_t>(rest) * l.by[a].factor) >> 32) >> l.by[a].shift;
        along = rest - next * l.size[a];
        rest = next;
      }
      for (int k = 0; k < Operands; ++k) p.at[k] += l.step[k][a] * static_cast<std::int64_t>(along);
    }
    return p;
  }
  for (int a = 0; a < l.axes; ++a) {
    const std::uint64_t next = i / l.size[a], along = i - next * l.size[a];
    i = next;
    for (int k = 0; k < Operands; ++k) p.at[k] += l.step[k][a] * static_cast<std::int64_t>(along);
  }
  return p;
}

template <class F, int Operands, std::size_t... K, class... P>
__device__ inline void at_places(F& f, const places<Operands>& at, std::index_sequence<K...>, P*... p) {
  f(p[at.at[K]]...);
}
template <class F, class... P>
__global__ void each_entry(const layout<static_cast<int>(sizeof...(P))> l, F f, P*... p) {
  const std::uint64_t all = static_cast<std::uint64_t>(gridDim.x) * blockDim.x;
  for (std::uint64_t i = static_cast<std::uint64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < l.entries; i += all) {
    const auto at = places_of(l, i);
    at_places(f, at, std::index_sequence_for<P...>{}, p...);
  }
}

/// Four numbers that lie together, or one that is repeated.
template <class P>
class four final {
 public:
  __device__ four(P* p, bool repeated) : p_(p) {
    if (repeated) {
      const number one = *p;
      values_ = {{one, one, one, one}};
    } else {
      values_ = *reinterpret_cast<const aligned*>(p);
    }
  }
  __device__ P& operator[](int j) { return values_.value[j]; }
  __device__ void store() const {
    if constexpr (!std::is_const_v<P>) *reinterpret_cast<aligned*>(p_) = values_;
  }

 private:
  using number = std::remove_const_t<P>;
  struct alignas(4 * sizeof(number)) aligned final {
    number value[4];
  };
  P* p_;
  aligned values_;
};

template <class F, class... P>
__device__ inline void at_fours(F& f, four<P>... entries) {
#pragma unroll
  for (int j = 0; j < 4; ++j) f(entries[j]...);
  (entries.store(), ...);
}
template <class F, int Operands, std::size_t... K, class... P>
__device__ inline void at_places_in_fours(F& f, const places<Operands>& at, unsigned repeated,
                                          std::index_sequence<K...>, P*... p) {
  at_fours(f, four<P>(p + at.at[K], (repeated >> K & 1) != 0)...);
}
/// `l` counts four entries as one; operand k is repeated within them if bit k of `repeated` is set.
template <class F, class... P>
__global__ void each_four(const layout<static_cast<int>(sizeof...(P))> l, unsigned repeated, F f, P*... p) {
  const std::uint64_t all = static_cast<std::uint64_t>(gridDim.x) * blockDim.x;
  for (std::uint64_t i = static_cast<std::uint64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < l.entries; i += all) {
    const auto at = places_of(l, i);
    at_places_in_fours(f, at, repeated, std::index_sequence_for<P...>{}, p...);
  }
}

/// Blocks of `threads` threads for `entries` of them; beyond 2^22 blocks each thread has several.
inline dim3 blocks_for(std::uint64_t entries, unsigned threads) {
  return {static_cast<unsigned>(std::min<std::uint64_t>((entries + threads - 1) / threads, 1u << 22))};
}

/// f(entry of each operand) for all entries of `size`, in no order. F's operator() is a __device__ function that gets
/// copies of the entries: those of operands that are not const are written back when it returns.
template <class F, class... T>
void each(const extents& size, F f, const view<T>&... v) {
  constexpr unsigned threads = 256;
  const auto l = layout_of(size, v...);
  if (l.entries == 0) return;
  if constexpr (((sizeof(T) <= sizeof(float)) && ...)) {
    unsigned repeated = 0;
    int k = 0;
    const auto fits = [&](const auto* data, bool constant) {
      const int operand = k++;
      if (!constant || l.axes == 0 || l.step[operand][0] != 0) return lies_in_fours(l, operand, data, 4 * sizeof *data);
      repeated |= 1u << operand;
      return l.size[0] % 4 == 0;
    };
    bool in_lines = true;
    ((in_lines = fits(v.data, std::is_const_v<T>) && in_lines), ...);
    if (in_lines) {
      const auto quarter = in_fours(l);
      return launch(each_four<F, T...>, blocks_for(quarter.entries, threads), dim3(threads), 0, quarter, repeated, f,
                    v.data...);
    }
  }
  launch(each_entry<F, T...>, blocks_for(l.entries, threads), dim3(threads), 0, l, f, v.data...);
}

}  // namespace alphaform::cuda
