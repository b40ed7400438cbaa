// Kernels of float32 alone, given streams of bfloat16: copies of what they read, and of what they write until it is
// rounded.
#pragma once
#include <alphaform/backends/cuda/device.hpp>
#include <alphaform/backends/cuda/functions.hpp>
#include <cstdint>
#include <deque>
#include <utility>
#include <vector>

namespace alphaform::cuda {

/// What a kernel does with what its results hold: it writes over all of it, or adds to it.
enum class results : std::uint8_t { replaced, added_to };

/// The copies of one call.
class float32_copies final {
 public:
  explicit float32_copies(results held = results::replaced) : held_(held) {}
  in operator()(const in& v) {
    if (v.format == number_format::whole) return v;
    const out to = room_for(v.size);
    copy(v, to);
    return to;
  }
  out operator()(const out& v) {
    if (v.format == number_format::whole) return v;
    const out to = room_for(v.size);
    if (held_ == results::added_to) copy(v, to);
    results_.push_back({to, v});
    return to;
  }
  factored<float> operator()(const factored<float>& f) { return {(*this)(f.u), (*this)(f.v)}; }
  recurrence<float> operator()(recurrence<float> r) {
    r.decay = (*this)(r.decay), r.write = (*this)(r.write), r.read = (*this)(r.read);
    if (r.bonus) r.bonus = (*this)(*r.bonus);
    return r;
  }
  rank_one_recurrence<float> operator()(const rank_one_recurrence<float>& r) {
    return {(*this)(r.diagonal), (*this)(r.p), (*this)(r.q)};
  }
  channel_matrices<float> operator()(const channel_matrices<float>& m) {
    return {(*this)(m.core), (*this)(m.skip), (*this)(m.taps), (*this)(m.weight)};
  }
  state_factors<float> operator()(const state_factors<float>& f) {
    return {(*this)(f.log_decay), (*this)(f.write), (*this)(f.read)};
  }
  std::vector<state_sum<float>> operator()(std::span<const state_sum<float>> sums) {
    std::vector<state_sum<float>> all;
    for (const state_sum<float>& s : sums) all.push_back({s.of, (*this)(s.weight), (*this)(s.to)});
    return all;
  }
  template <class Other>
  const Other& operator()(const Other& other) {
    return other;
  }
  /// Rounds what was written.
  void give_back() {
    for (const auto& [from, to] : results_) copy(from, to);
  }

 private:
  out room_for(const extents& size) { return {numbers_.emplace_back(volume(size)).data(), size, contiguous(size)}; }

  results held_;
  std::deque<scratch<float>> numbers_;
  std::vector<std::pair<out, out>> results_;
};

template <auto Kernel, results Held, class Function = decltype(Kernel)>
struct widened_call;
template <auto Kernel, results Held, class... A>
struct widened_call<Kernel, Held, void (*)(A...)> final {
  static void run(A... a) {
    float32_copies whole(Held);
    Kernel(whole(a)...);
    whole.give_back();
  }
};
/// A kernel that takes streams of either format.
template <auto Kernel, results Held = results::replaced>
inline constexpr auto widened = widened_call<Kernel, Held>::run;

}  // namespace alphaform::cuda
