// The kernels of a device as a table that reads and writes this processor's memory: operands are moved there for each
// call, results are moved back. What lies between the entries of a view is moved too, so that a test sees whether a
// kernel has touched it.
#pragma once
#include <algorithm>
#include <alphaform/backends/kernels.hpp>
#include <vector>

namespace alphaform::test {

/// The operands of one call.
class staged final {
 public:
  explicit staged(const kernels<float>& k) : k_(k) {}
  staged(const staged&) = delete;
  staged& operator=(const staged&) = delete;
  ~staged() {
    for (const range& r : ranges_) k_.release(r.there);
  }

  view<const float> in(const view<const float>& v) { return placed(v); }
  view<float> out(const view<float>& v) {
    const view<float> there = placed(v);
    for (range& r : ranges_)
      if (r.here == v.data) r.is_result = true;
    return there;
  }
  factored<float> in(const factored<float>& f) { return {in(f.u), in(f.v)}; }
  recurrence<float> in(recurrence<float> r) {
    r.decay = in(r.decay), r.write = in(r.write), r.read = in(r.read);
    if (r.bonus) r.bonus = in(*r.bonus);
    return r;
  }
  state_factors<float> in(const state_factors<float>& f) { return {in(f.log_decay), in(f.write), in(f.read)}; }
  std::vector<view<const float>> in(std::span<const view<const float>> all) {
    std::vector<view<const float>> there;
    for (const auto& v : all) there.push_back(in(v));
    return there;
  }
  void bring_back() {
    for (const range& r : ranges_)
      if (r.is_result) k_.download(r.there, r.count, const_cast<float*>(r.here));
  }

 private:
  struct range final {
    const float* here;
    std::size_t count;
    float* there;
    bool is_result;
  };
  view<float> placed(const view<const float>& v) {
    if (v.data == nullptr) return {nullptr, v.size, v.stride};
    std::size_t count = 1;
    for (std::size_t a = 0; a < axis_count; ++a) count += (v.size[a] - 1) * v.stride[a];
    for (const range& r : ranges_)
      if (r.here == v.data && r.count == count) return {r.there, v.size, v.stride};
    float* const there = k_.allocate(count);
    k_.upload(v.data, count, there);
    ranges_.push_back({v.data, count, there, false});
    return {there, v.size, v.stride};
  }

  const kernels<float>& k_;
  std::vector<range> ranges_;
};

/// The table around a device's kernels, of which there may be one.
class staged_table final {
  using in = view<const float>;
  using out = view<float>;
  using F = kernels<float>;
  static inline const kernels<float>* device = nullptr;

  /// Kernels of views alone, other arguments as they are.
  template <auto Member>
  struct call;
  template <class... A, void (*F::*Member)(A...)>
  struct call<Member> {
    template <class X>
    static decltype(auto) moved(staged& s, const X& x) {
      if constexpr (std::is_same_v<X, out>)
        return s.out(x);
      else if constexpr (requires { s.in(x); })
        return s.in(x);
      else
        return X(x);
    }
    static void run(A... a) {
      staged s(*device);
      (device->*Member)(moved(s, a)...);
      s.bring_back();
    }
  };

 public:
  static const kernels<float>& of(const kernels<float>& k) {
    device = &k;
    static const kernels<float> table = [] {
      kernels<float> t = *device;
      t.has_own_memory = false;
      t.most_in_use = nullptr, t.rehearse = nullptr;
      t.allocate = [](std::size_t n) { return new float[n]; };
      t.release = [](float* p) { delete[] p; };
      t.upload = [](const float* from, std::size_t n, float* to) { std::copy_n(from, n, to); };
      t.download = [](const float* from, std::size_t n, float* to) { std::copy_n(from, n, to); };
      t.fill = call<&F::fill>::run;
      t.unit = call<&F::unit>::run;
      t.eye = call<&F::eye>::run;
      t.copy = call<&F::copy>::run;
      t.map = call<&F::map>::run;
      t.evaluate = call<&F::evaluate>::run;
      t.scan = call<&F::scan>::run;
      t.times = call<&F::times>::run;
      t.plus = call<&F::plus>::run;
      t.larger = call<&F::larger>::run;
      t.total = call<&F::total>::run;
      t.inverse = call<&F::inverse>::run;
      t.linear = call<&F::linear>::run;
      t.linear_adjoint = call<&F::linear_adjoint>::run;
      t.shift = call<&F::shift>::run;
      t.reverse = call<&F::reverse>::run;
      t.gather = call<&F::gather>::run;
      t.scatter = call<&F::scatter>::run;
      t.fir = call<&F::fir>::run;
      t.fir_adjoint = call<&F::fir_adjoint>::run;
      t.peak = call<&F::peak>::run;
      t.unrolled = call<&F::unrolled>::run;
      t.unrolled_adjoint = call<&F::unrolled_adjoint>::run;
      t.attend = call<&F::attend>::run;
      t.attend_adjoint = call<&F::attend_adjoint>::run;
      t.unrolled_pass = call<&F::unrolled_pass>::run;
      t.gated_fir_adjoint = [](const pointwise& p, std::span<const filtered_stream<float>> operands, in taps, out y) {
        staged s(*device);
        std::vector<filtered_stream<float>> there;
        for (const auto& one : operands)
          there.push_back({s.in(one.x), one.taps.data == nullptr ? one.taps : s.in(one.taps)});
        device->gated_fir_adjoint(p, there, s.in(taps), s.out(y));
        s.bring_back();
      };
      t.record = nullptr;
      t.replay = nullptr;
      t.unrolled_gradient = [](const recurrence<float>& r, in x, in g, std::span<const state_sum<float>> sums) {
        staged s(*device);
        std::vector<state_sum<float>> there;
        for (const auto& one : sums) there.push_back({one.of, s.in(one.weight), s.out(one.to)});
        device->unrolled_gradient(s.in(r), s.in(x), s.in(g), there);
        s.bring_back();
      };
      t.rank_one = [](const rank_one_recurrence<float>& r, in x, out h, out y) {
        staged s(*device);
        device->rank_one({s.in(r.diagonal), s.in(r.p), s.in(r.q)}, s.in(x), s.out(h), s.out(y));
        s.bring_back();
      };
      t.rank_one_adjoint = [](const rank_one_recurrence<float>& r, in g, out h, out y) {
        staged s(*device);
        device->rank_one_adjoint({s.in(r.diagonal), s.in(r.p), s.in(r.q)}, s.in(g), s.out(h), s.out(y));
        s.bring_back();
      };
      t.channel_map = [](const channel_matrices<float>& m, over_channels over, out map) {
        staged s(*device);
        device->channel_map({s.in(m.core), s.in(m.skip), s.in(m.taps), s.in(m.weight)}, over, s.out(map));
        s.bring_back();
      };
      return t;
    }();
    return table;
  }
};

}  // namespace alphaform::test
