#include <alphaform/backends/plan/counting.hpp>

namespace alphaform {

work& counted_work() {
  thread_local work w;
  return w;
}

namespace {

constexpr auto made_of_exp = tabulate(functions_tuple, [](auto f) {
  using F = decltype(f);
  return std::is_same_v<F, functions::exp> || std::is_same_v<F, functions::softplus> ||
         std::is_same_v<F, functions::sigmoid> || std::is_same_v<F, functions::silu>;
});

/// Adds `per_entry` operations for each of `entries` results, and the bytes of all operands.
template <class T, class... V>
void count(double per_entry, std::size_t entries, const V&... v) {
  counted_work().flops += per_entry * static_cast<double>(entries);
  counted_work().bytes += (static_cast<double>(volume(v.size)) + ...) * sizeof(T);
}

template <class T>
kernels<T> make_table() {
  using in = view<const T>;
  using out = view<T>;
  kernels<T> k{};
  k.name = "counting";
  k.allocate = [](std::size_t) -> T* { return nullptr; };
  k.release = [](T*) {};
  k.enter = [] { return 0u; };
  k.leave = [](unsigned) {};
  k.fill = [](T, out y) { count<T>(0, 0, y); };
  k.unit = [](std::size_t, out y) { count<T>(0, 0, y); };
  k.eye = [](out y) { count<T>(0, 0, y); };
  k.copy = [](in x, out y) { count<T>(0, 0, x, y); };
  k.map = [](code f, in x, out y) {
    count<T>(made_of_exp[f] ? 0 : 1, volume(y.size), x, y);
    if (made_of_exp[f]) counted_work().functions += static_cast<double>(volume(x.size));
  };
  k.times = k.plus = k.larger = [](in a, in b, out y) { count<T>(1, volume(y.size), a, b, y); };
  k.total = [](T, bool, in x, out y) { count<T>(2, volume(x.size), x, y); };
  k.inverse = [](in x, out y) { count<T>(1, volume(y.size), x, y); };
  k.linear = [](in w, axis, axis, in x, out y) {
    count<T>(2 * static_cast<double>(w.of(axis::head)), volume(y.size), w, x, y);
  };
  k.linear_adjoint = [](in w, axis, axis, in g, out y) {
    count<T>(2 * static_cast<double>(w.of(axis::token)), volume(y.size), w, g, y);
  };
  k.shift = [](std::ptrdiff_t, in x, out y) { count<T>(0, 0, x, y); };
  k.reverse = [](in x, out y) { count<T>(0, 0, x, y); };
  k.gather = k.scatter = [](in order, in x, out y) { count<T>(0, 0, order, x, y); };
  k.fir = k.fir_adjoint = [](in w, in x, out y) {
    count<T>(2 * static_cast<double>(w.of(axis::tap)), volume(y.size), w, x, y);
  };
  k.peak = [](in l, in key, out y) { count<T>(2, volume(y.size), l, key, y); };
  k.recur = k.recur_adjoint = [](in a, in x, out, out y) { count<T>(2, volume(y.size), a, x, y); };
  k.unrolled = k.unrolled_adjoint = [](in a, in b, in c, in x, out h, out y) {
    count<T>(5, volume(h.size) * y.of(axis::token), a, b, c, x, y);
  };
  k.attend = k.attend_adjoint = [](in q, in key, bool, std::size_t window, in x, out y) {
    extents heads = single;
    for (const axis a : every_axis)
      if (a != axis::token && a != axis::state) at(heads, a) = std::max(q.of(a), key.of(a));
    const std::size_t tokens = y.of(axis::token), seen = std::min(window, x.of(axis::token)),
                      pairs = seen * (seen + 1) / 2 + (tokens > seen ? (tokens - seen) * seen : 0);
    count<T>(2 * static_cast<double>(q.of(axis::state)), volume(heads) * pairs, q, key, x, y);
    counted_work().flops += 2 * static_cast<double>(volume(y.size) / tokens) * static_cast<double>(pairs);
    counted_work().functions += static_cast<double>(volume(heads) * pairs);
  };
  k.product = [](std::size_t m, std::size_t n, std::size_t inner, const T*, std::size_t, const T*, std::size_t, T*,
                 std::size_t) {
    const auto M = static_cast<double>(m), N = static_cast<double>(n), K = static_cast<double>(inner);
    counted_work().flops += 2 * M * N * K;
    counted_work().bytes += (M * K + N * K + 2 * M * N) * sizeof(T);
  };
  return k;
}

}  // namespace

template <>
const kernels<float>& counting_kernels() {
  static const kernels<float> table = make_table<float>();
  return table;
}
template <>
const kernels<double>& counting_kernels() {
  static const kernels<double> table = make_table<double>();
  return table;
}

}  // namespace alphaform
