// The unrolled recurrence and its transpose: the factors of decay, write and read as threads take them, and the size of
// a chunk.
#include <alphaform/backends/cuda/functions.hpp>
#include <alphaform/backends/cuda/heads/heads.hpp>
#include <alphaform/backends/cuda/states/carry.cuh>
#include <alphaform/backends/cuda/states/plainly.hpp>
#include <alphaform/backends/cuda/widened.hpp>

namespace alphaform::cuda {
namespace {

constexpr axis time = axis::token;
constexpr std::uint64_t enough_blocks = 528;  // four at once for each of a large card's processors
constexpr std::uint64_t most_tokens = 32;     // of a chunk, where h and a near 1 are rounded for each token
constexpr std::uint32_t most_states = 512;    // that a warp holds
constexpr std::size_t most_step = 1u << 21;   // so that 512 states or 128 tokens, and both, are within 31 bits

/// The factors and x as a scan meets them, from the first token in its direction.
struct scan_streams final {
  in of[controls];
  bool backward;
  std::uint64_t tokens;
};

bool changes(const in& v) { return v.of(time) > 1; }

/// Are the u's, x and y the same for a whole state, and y one number for every other entry of h?
bool is_regular(const recurrence<float>& r, const in& x, const out& h, const out& y) {
  for (const axis a : every_axis)
    if (a != time && a != axis::state && y.of(a) != h.of(a)) return false;
  const in bonus = r.bonus ? r.bonus->u : x;
  for (const in& v : {r.decay.u, r.write.u, r.read.u, x, in(y), bonus})
    if (v.of(axis::state) > 1) return false;
  return h.of(axis::state) <= most_states;
}
/// Are offsets within a chunk small?
bool is_near(const recurrence<float>& r, const in& x, const out& h, const out& y) {
  for (const in& v : {r.decay.u, r.decay.v, r.write.u, r.write.v, r.read.u, r.read.v, x, in(h), in(y)})
    if (v.step(time) > most_step || v.step(axis::state) > most_step) return false;
  return true;
}

/// Consecutive lanes for which the factors are the same.
std::uint64_t lanes_that_share(const extents& lanes, std::initializer_list<in> factors) {
  std::uint64_t run = 1;
  for (std::size_t a = axis_count; a-- > 0;) {
    if (lanes[a] == 1) continue;
    for (const in& v : factors)
      if (v.size[a] != 1) return run;
    run *= lanes[a];
  }
  return run;
}

struct plan final {
  factors_from from;
  std::uint32_t states_each;  ///< of a thread
  std::uint64_t run;          ///< lanes that may share a block
};
std::uint32_t groups_of(std::uint32_t states, std::uint32_t each) {
  std::uint32_t groups = 1;
  while (groups * each < states) groups *= 2;
  return groups;
}
/// How threads come by the factors v. Few lanes that share them would leave a block's threads idle.
plan plan_of(const extents& lanes, std::uint32_t states, const in (&of)[controls]) {
  const in &decay = of[decay_v], &write = of[write_v], &read = of[read_v];
  const std::uint64_t all = volume(lanes);
  if (!changes(decay) && !changes(write) && !changes(read) && states <= 128)
    return {factors_from::registers, states < 4 ? 1u : 4u, all};
  const std::uint32_t each = states < 16 ? 4 : 16;
  const std::uint64_t lanes_each = chunk_threads / groups_of(states, each);
  const auto fill = [&](std::uint64_t run) { return run >= lanes_each / 2 || run == all; };
  if (const std::uint64_t run = lanes_that_share(lanes, {write, read}); !changes(decay) && fill(run) && states >= 4)
    return {decay.of(axis::state) == 1 ? factors_from::shared_but_for_one_decay : factors_from::shared_but_for_decays,
            each, run};
  if (const std::uint64_t run = lanes_that_share(lanes, {decay, write, read}); fill(run) && states >= 4)
    return {factors_from::shared, each, run};
  return {factors_from::memory, states > 128 ? 16u : states < 4 ? 1u : 4u, all};
}

chunked_recurrence placed(const scan_streams& streams, const plan& how, out h, out y) {
  const auto& of = streams.of;
  extents lanes = h.size;
  at(lanes, axis::state) = 1;
  chunked_recurrence s{};
  s.lanes = layout_of(lanes, of[0], of[1], of[2], of[3], of[4], of[5], of[6], h, y);
  const std::uint64_t last = streams.backward ? streams.tokens - 1 : 0;
  const int way = streams.backward ? -1 : 1;
  for (int c = 0; c < controls; ++c) {
    s.from[c] = of[c].data + last * of[c].step(time);
    s.token[c] = way * static_cast<int>(of[c].step(time));
    s.state[c] = static_cast<int>(of[c].step(axis::state));
  }
  s.h = h.data;
  s.h_state = static_cast<int>(h.step(axis::state));
  s.y = y.data + last * y.step(time);
  s.y_token = way * static_cast<int>(y.step(time));
  s.tokens = streams.tokens;
  s.states = static_cast<std::uint32_t>(h.of(axis::state));
  s.groups = groups_of(s.states, how.states_each);
  s.run = how.run;
  const std::uint32_t lanes_each = chunk_threads / s.groups;
  s.run_columns = static_cast<std::uint32_t>((how.run + lanes_each - 1) / lanes_each);
  s.columns = static_cast<std::uint32_t>(volume(lanes) / how.run * s.run_columns);
  return s;
}

/// Chunks that fill the card, of few enough tokens that their states are rounded seldom.
void divide(chunked_recurrence& s) {
  const std::uint64_t share = (s.tokens * s.columns + enough_blocks - 1) / enough_blocks;
  const std::uint64_t filling = (share + tokens_fetched - 1) / tokens_fetched * tokens_fetched;
  const std::uint64_t tokens = std::clamp<std::uint64_t>(filling, 16, most_tokens);
  s.length = static_cast<std::uint32_t>(s.tokens <= 32 ? s.tokens : tokens);
  s.chunks = static_cast<std::uint32_t>((s.tokens + s.length - 1) / s.length);
}

template <int States, factors_from From, bool Logarithmic>
void run(chunked_recurrence s) {
  constexpr bool by_sum = Logarithmic && keeps_decays<From>;
  std::size_t bytes = 0;
  if constexpr (shares<From>) {
    const std::uint32_t width = States * s.groups;
    s.staged = std::clamp(2048 / width / tokens_fetched * tokens_fetched, std::uint32_t{tokens_fetched}, 32u);
    bytes = (keeps_decays<From> ? 2 : 3) * s.staged * width * sizeof(float);
  }
  const dim3 blocks(s.columns * s.chunks), threads(chunk_threads);
  if (s.chunks == 1) {
    launch(read_chunks<States, From, Logarithmic>, blocks, threads, bytes, s, nullptr);
    return;
  }
  const std::size_t each_thread = std::size_t{s.columns} * s.chunks * chunk_threads;
  const scratch<float> carried(each_thread * States);
  const scratch<double> totals(by_sum ? each_thread : each_thread * States);
  launch(add_chunks<States, From, Logarithmic>, blocks, threads, bytes, s, carried.data(), totals.data());
  launch(carry_states<States, by_sum>, dim3(s.columns * States), threads, 0, s, carried.data(), totals.data());
  launch(read_chunks<States, From, Logarithmic>, blocks, threads, bytes, s, carried.data());
}
template <bool Logarithmic>
void run(const plan& how, const chunked_recurrence& s) {
  using enum factors_from;
  const bool many = how.states_each == 16;
  switch (how.from) {
    case registers:
      return how.states_each == 1 ? run<1, registers, Logarithmic>(s) : run<4, registers, Logarithmic>(s);
    case shared_but_for_decays:
      return many ? run<16, shared_but_for_decays, Logarithmic>(s) : run<4, shared_but_for_decays, Logarithmic>(s);
    case shared_but_for_one_decay:
      return many ? run<16, shared_but_for_one_decay, Logarithmic>(s)
                  : run<4, shared_but_for_one_decay, Logarithmic>(s);
    case shared:
      return many ? run<16, shared, Logarithmic>(s) : run<4, shared, Logarithmic>(s);
    case memory:
      if (how.states_each == 1) return run<1, memory, Logarithmic>(s);
      return many ? run<16, memory, Logarithmic>(s) : run<4, memory, Logarithmic>(s);
  }
}

void scan_chunks(bool adjoint, const recurrence<float>& r, in x, out h, out y) {
  if (!is_regular(r, x, h, y) || !is_near(r, x, h, y)) return unrolled_plainly(adjoint, r, x, h, y);
  const factored<float>&write = adjoint ? r.read : r.write, &read = adjoint ? r.write : r.read;
  const scan_streams streams{{r.decay.u, r.decay.v, write.u, write.v, read.u, read.v, x}, adjoint, y.of(time)};
  extents lanes = h.size;
  at(lanes, axis::state) = 1;
  const plan how = plan_of(lanes, static_cast<std::uint32_t>(h.of(axis::state)), streams.of);
  chunked_recurrence s = placed(streams, how, h, y);
  s.decay_lags = adjoint || r.exclusive;
  s.write_lags = r.exclusive;
  divide(s);
  r.logarithmic ? run<true>(how, s) : run<false>(how, s);
  if (r.bonus) add_bonus(r, x, h.of(axis::state), y);
}

void scan(product_precision precision, bool adjoint, const recurrence<float>& r, in x, out h, out y) {
  if (volume(y.size) == 0 || volume(h.size) == 0) return;
  if (fits_heads(r, x, h, y)) return unrolled_heads(precision, adjoint, r, x, h, y);
  widened<scan_chunks>(adjoint, r, x, h, y);
}

}  // namespace

template <product_precision P>
void unrolled(const recurrence<float>& r, in x, out h, out y) {
  scan(P, false, r, x, h, y);
}
template <product_precision P>
void unrolled_adjoint(const recurrence<float>& r, in g, out h, out y) {
  scan(P, true, r, g, h, y);
}
template void unrolled<product_precision::float32>(const recurrence<float>&, in, out, out);
template void unrolled<product_precision::bfloat16>(const recurrence<float>&, in, out, out);
template void unrolled_adjoint<product_precision::float32>(const recurrence<float>&, in, out, out);
template void unrolled_adjoint<product_precision::bfloat16>(const recurrence<float>&, in, out, out);

}  // namespace alphaform::cuda
