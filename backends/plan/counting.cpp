#include <algorithm>
#include <alphaform/backends/plan/counting.hpp>
#include <cmath>

namespace alphaform {

work_of_kernels& counted_work() {
  thread_local work_of_kernels w;
  return w;
}

namespace {

constexpr auto made_of_exp = tabulate(functions_tuple, [](auto f) {
  using F = decltype(f);
  return std::is_same_v<F, functions::exp> || std::is_same_v<F, functions::softplus> ||
         std::is_same_v<F, functions::sigmoid> || std::is_same_v<F, functions::silu>;
});

template <class V>
double entries(const V& v) {
  return static_cast<double>(volume(v.size));
}
template <class T>
double bytes_of(const view<T>& v) {
  return entries(v) * static_cast<double>(size_of<T>(v.format));
}

/// One call of a kernel: so many operations and function values, and the bytes of all operands.
template <class... V>
void count(std::string_view kernel, double flops, double functions, const V&... v) {
  work& w = counted_work()[kernel];
  ++w.calls;
  w.flops += flops;
  w.functions += functions;
  w.bytes += (bytes_of(v) + ...);
}

template <class T>
void count_recurrence(std::string_view kernel, const recurrence<T>& r, double per_entry, view<const T> x, view<T> h,
                      view<T> y) {
  const extents decays = together(r.decay.u.size, r.decay.v.size);
  count(kernel, per_entry * entries(h) * static_cast<double>(y.of(axis::token)),
        r.logarithmic ? static_cast<double>(volume(decays)) : 0, r.decay.u, r.decay.v, r.write.u, r.write.v, r.read.u,
        r.read.v, x, y);
  if (!r.bonus) return;
  work& w = counted_work()[kernel];
  w.flops += 4 * entries(h) / static_cast<double>(h.of(axis::chan)) * static_cast<double>(y.of(axis::token));
  w.bytes += bytes_of(r.bonus->u) + bytes_of(r.bonus->v);
}

/// States forward twice and backward once.
template <class T>
void count_gradient(const recurrence<T>& r, view<const T> x, view<const T> g, std::span<const state_sum<T>> sums) {
  extents all = single;
  for (const view<const T>& v : {r.decay.u, r.decay.v, r.write.v, r.read.v, x, g}) all = together(all, v.size);
  const auto states = static_cast<double>(volume(all));
  count("unrolled_gradient", (12 + 3 * static_cast<double>(sums.size())) * states, r.logarithmic ? 2 * states : 0,
        r.decay.u, r.decay.v, r.write.u, r.write.v, r.read.u, r.read.v, x, g);
  for (const state_sum<T>& s : sums)
    counted_work()["unrolled_gradient"].bytes += bytes_of(s.weight.u) + bytes_of(s.weight.v) + bytes_of(s.to);
}

template <class T>
void count_attention(view<const T> q, view<const T> key, std::size_t window, view<const T> x, view<T> y) {
  extents heads = single;
  for (const axis a : every_axis)
    if (a != axis::token && a != axis::state) at(heads, a) = std::max(q.of(a), key.of(a));
  const std::size_t tokens = y.of(axis::token), seen = std::min(window, x.of(axis::token)),
                    pairs = seen * (seen + 1) / 2 + (tokens > seen ? (tokens - seen) * seen : 0);
  const auto weights = static_cast<double>(volume(heads) * pairs),
             values = static_cast<double>(volume(y.size) / tokens) * static_cast<double>(pairs);
  count("attend", 2 * static_cast<double>(q.of(axis::state)) * weights + 2 * values, weights, q, key, x, y);
}

/// Products of all pairs of tokens in every state; decays once for each level of a halved triangle.
template <class T>
void count_map(const channel_matrices<T>& m, view<T> map) {
  extents all = single;
  for (const factored<T>& f : {m.core.decay, m.core.write, m.core.read})
    all = together(together(all, f.u.size), f.v.size);
  at(all, axis::token) = 1;
  const auto tokens = static_cast<double>(map.of(axis::token)), lanes = static_cast<double>(volume(all)),
             levels = std::max(1.0, std::log2(tokens / 32) + 1);
  count("channel_map", tokens * (tokens + 1) * lanes, m.core.logarithmic ? tokens * lanes * levels : 0, m.core.decay.u,
        m.core.write.u, m.core.read.u, m.core.write.v, m.core.read.v, map, map);
}

template <class T>
void count_program(std::string_view kernel, const pointwise& p, std::span<const view<const T>> operands, view<T> y) {
  double operations = 0, functions = 0;
  for (const pointwise::instruction& n : p.instructions) {
    if (n.is == pointwise::operation::map && made_of_exp[n.function])
      ++functions;
    else if (n.is >= pointwise::operation::scan)
      operations += 2;
    else if (n.is != pointwise::operation::load && n.is != pointwise::operation::number)
      ++operations;
  }
  count(kernel, operations * entries(y), functions * entries(y), y);
  for (const view<const T>& x : operands) counted_work()[kernel].bytes += bytes_of(x);
}

template <class T>
void count_gated_filter(const pointwise& p, std::span<const filtered_stream<T>> operands, view<const T> taps,
                        view<T> y) {
  constexpr std::string_view kernel = "gated_fir_adjoint";
  count_program<T>(kernel, p, {}, y);
  work& w = counted_work()[kernel];
  w.flops += 2 * static_cast<double>(taps.of(axis::tap)) * entries(y);
  w.bytes += bytes_of(taps);
  for (const filtered_stream<T>& v : operands) {
    w.bytes += bytes_of(v.x);
    if (v.taps.data == nullptr) continue;
    w.bytes += bytes_of(v.taps);
    w.flops += 2 * static_cast<double>(v.taps.of(axis::tap)) * entries(v.x);
  }
}

/// Six operations and an exponential for every state of a token, beside the program's.
template <class T>
void count_pass(const pointwise& p, const state_factors<T>& f, std::span<const view<const T>> operands, view<T> h,
                view<T> y) {
  count_program<T>("unrolled_pass", p, operands, y);
  work& w = counted_work()["unrolled_pass"];
  const double states = entries(h) * static_cast<double>(y.of(axis::token));
  w.flops += 6 * states;
  w.functions += f.log_decay.of(axis::state) == 1 ? entries(y) : states;
  w.bytes += bytes_of(f.log_decay) + bytes_of(f.write) + bytes_of(f.read);
}

template <class T>
kernels<T> make_table(bool has_own_memory) {
  using in = view<const T>;
  using out = view<T>;
  kernels<T> k{};
  k.name = "counting";
  k.has_own_memory = has_own_memory;
  k.allocate = [](std::size_t) -> T* { return nullptr; };
  k.release = [](T*) {};
  k.upload = [](const T*, std::size_t, T*) {};
  k.enter = [] { return 0u; };
  k.leave = [](unsigned) {};
  k.expect = [](std::span<const in>) {};
  k.fill = [](T, out y) { count("fill", 0, 0, y); };
  k.unit = [](std::size_t, out y) { count("unit", 0, 0, y); };
  k.eye = [](out y) { count("eye", 0, 0, y); };
  k.copy = [](in x, out y) { count("copy", 0, 0, x, y); };
  k.map = [](code f, in x, out y) {
    count("map", made_of_exp[f] ? 0 : entries(y), made_of_exp[f] ? entries(x) : 0, x, y);
  };
  k.evaluate = [](const pointwise& p, std::span<const in> operands, out y) {
    count_program<T>("evaluate", p, operands, y);
  };
  k.scan = [](const pointwise& p, std::span<const in> operands, out, out y) {
    count_program<T>("scan", p, operands, y);
  };
  k.times = [](in a, in b, out y) { count("times", entries(y), 0, a, b, y); };
  k.plus = [](in a, in b, out y) { count("plus", entries(y), 0, a, b, y); };
  k.larger = [](in a, in b, out y) { count("larger", entries(y), 0, a, b, y); };
  k.total = [](T, bool, in x, out y) { count("total", 2 * entries(x), 0, x, y); };
  k.inverse = [](in x, out y) { count("inverse", entries(y), 0, x, y); };
  k.linear = [](in w, axis, axis, in x, out y) {
    count("linear", 2 * static_cast<double>(w.of(axis::head)) * entries(y), 0, w, x, y);
  };
  k.linear_adjoint = [](in w, axis, axis, in g, out y) {
    count("linear_adjoint", 2 * static_cast<double>(w.of(axis::token)) * entries(y), 0, w, g, y);
  };
  k.shift = [](std::ptrdiff_t, in x, out y) { count("shift", 0, 0, x, y); };
  k.reverse = [](in x, out y) { count("reverse", 0, 0, x, y); };
  k.gather = k.scatter = [](in order, in x, out y) { count("gather", 0, 0, order, x, y); };
  k.fir = k.fir_adjoint = [](in w, in x, out y) {
    count("fir", 2 * static_cast<double>(w.of(axis::tap)) * entries(y), 0, w, x, y);
  };
  if (has_own_memory) k.gated_fir_adjoint = count_gated_filter<T>;
  k.peak = [](in l, in key, out y) { count("peak", 2 * entries(y), 0, l, key, y); };
  k.unrolled = [](const recurrence<T>& r, in x, out h, out y) { count_recurrence<T>("unrolled", r, 6, x, h, y); };
  k.unrolled_adjoint = [](const recurrence<T>& r, in g, out h, out y) {
    count_recurrence<T>("unrolled_adjoint", r, 6, g, h, y);
  };
  // As the tables that it stands for; the reference, in double, has no pass.
  k.pass_lanes = has_own_memory ? lanes_for_a_pass : 1;
  k.pass_states = has_own_memory ? states_of_a_device_pass : states_of_a_pass;
  k.pass_for_heads = false;
  if (has_own_memory || std::is_same_v<T, float>) k.unrolled_pass = count_pass<T>;
  k.unrolled_gradient = count_gradient<T>;
  k.rank_one = [](const rank_one_recurrence<T>& r, in x, out h, out y) {
    count_recurrence<T>("rank_one", r.diagonal, 10, x, h, y);
  };
  k.rank_one_adjoint = [](const rank_one_recurrence<T>& r, in g, out h, out y) {
    count_recurrence<T>("rank_one_adjoint", r.diagonal, 10, g, h, y);
  };
  k.channel_map = [](const channel_matrices<T>& m, over_channels, out map) { count_map<T>(m, map); };
  k.attend = k.attend_adjoint = [](in q, in key, bool, std::size_t window, in x, out y) {
    count_attention<T>(q, key, window, x, y);
  };
  return k;
}

}  // namespace

template <class T>
const kernels<T>& counting_kernels(bool own_memory) {
  static const kernels<T> table = make_table<T>(false), of_own_memory = make_table<T>(true);
  return own_memory ? of_own_memory : table;
}
template const kernels<float>& counting_kernels(bool);
template const kernels<double>& counting_kernels(bool);

}  // namespace alphaform
