// Recurrences with a transition diagonal plus rank one (DeltaNet, Gated DeltaNet, KDA, RWKV-7) and their transposes,
// which are the same over reversed tokens with write and read, p and q exchanged and another order within a token.
#include <alphaform/backends/cuda/functions.hpp>
#include <alphaform/backends/cuda/heads/heads.hpp>
#include <alphaform/backends/cuda/states/rank_one_long.cuh>
#include <alphaform/backends/cuda/states/rank_one_steps.cuh>
#include <alphaform/backends/cuda/widened.hpp>

namespace alphaform::cuda {

namespace {

/// Which axes tell heads apart: those that a control has.
bool of_heads(const rank_one_recurrence<float>& r, axis a) {
  for (const factored<float>* f : {&r.diagonal.decay, &r.diagonal.write, &r.diagonal.read, &r.p, &r.q})
    if (f->u.of(a) > 1 || f->v.of(a) > 1) return true;
  return false;
}

rank_one_scan scan_of(const rank_one_recurrence<float>& r, in x, out h, out y) {
  rank_one_scan s{};
  extents heads = single, lanes = single;
  for (const axis a : every_axis)
    if (a != axis::token && a != axis::state) at(of_heads(r, a) ? heads : lanes, a) = h.of(a);
  const recurrence<float>& d = r.diagonal;
  const in from[]{d.decay.u, d.decay.v, d.write.u, d.write.v, d.read.u, d.read.v, r.p.u, r.p.v, r.q.u, r.q.v};
  for (int k = 0; k < 2 * rows; ++k) {
    s.from[k] = from[k].data;
    s.token[k] = static_cast<std::int64_t>(from[k].step(axis::token));
    s.state_step[k] = static_cast<std::int64_t>(from[k].step(axis::state));
  }
  s.heads = layout_of(heads, from[0], from[1], from[2], from[3], from[4], from[5], from[6], from[7], from[8], from[9],
                      x, h, y);
  s.lanes = layout_of(lanes, x, h, y);
  s.x = x.data, s.h = h.data, s.y = y.data;
  s.x_token = static_cast<std::int64_t>(x.step(axis::token));
  s.y_token = static_cast<std::int64_t>(y.step(axis::token));
  s.h_state = static_cast<std::int64_t>(h.step(axis::state));
  s.tokens = y.of(axis::token);
  s.states = static_cast<std::uint32_t>(h.of(axis::state));
  s.logarithmic = d.logarithmic;
  return s;
}

template <turn Order, int Parts, int Each>
void run(rank_one_scan& s) {
  using shape = rank_one_shape<Parts, Each>;
  s.lane_blocks = static_cast<std::uint32_t>((s.lanes.entries + shape::lanes - 1) / shape::lanes);
  constexpr std::size_t bytes = 2 * shape::numbers * sizeof(float);
  const auto kernel = rank_one_steps<Order, Parts, Each>;
  check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes), "share memory in blocks");
  launch(kernel, dim3(static_cast<unsigned>(s.heads.entries * s.lane_blocks)), dim3(2 * scan_threads), bytes, s);
}
template <turn Order>
void run(rank_one_scan s) {
  if (s.tokens == 0 || s.heads.entries * s.lanes.entries == 0) return;
  if (s.states <= 4) return run<Order, 1, 4>(s);
  if (s.states <= 16) return run<Order, 4, 4>(s);
  if (s.states <= 32) return run<Order, 8, 4>(s);
  if (s.states <= 64) return run<Order, 8, 8>(s);
  if (s.states <= 128) return run<Order, 16, 8>(s);
  if (s.states <= 256) return run<Order, 32, 8>(s);
  const std::uint64_t lanes = s.heads.entries * s.lanes.entries;
  launch(rank_one_long<Order>, dim3(static_cast<unsigned>(lanes)), dim3(long_threads), 0, s);
}

void steps(const rank_one_recurrence<float>& r, in x, out h, out y) {
  const rank_one_scan s = scan_of(r, x, h, y);
  r.diagonal.exclusive ? run<turn::read_transit_write>(s) : run<turn::transit_write_read>(s);
}
void steps_adjoint(const rank_one_recurrence<float>& r, in g, out h, out y) {
  const auto reversed = [tokens = y.of(axis::token)](const factored<float>& f) {
    const auto from_last = [tokens](in v) { return backwards(v.slice(axis::token, 0, tokens)); };
    return factored<float>{from_last(f.u), from_last(f.v)};
  };
  rank_one_recurrence<float> transposed{r.diagonal, reversed(r.q), reversed(r.p)};
  transposed.diagonal.decay = reversed(r.diagonal.decay);
  transposed.diagonal.write = reversed(r.diagonal.read);
  transposed.diagonal.read = reversed(r.diagonal.write);
  const rank_one_scan s = scan_of(transposed, backwards(g), h, backwards(y));
  r.diagonal.exclusive ? run<turn::read_transit_write>(s) : run<turn::write_read_transit>(s);
}

}  // namespace

template <product_precision P>
void rank_one(const rank_one_recurrence<float>& r, in x, out h, out y) {
  fits_heads(r, x, h, y) ? rank_one_heads(P, false, r, x, h, y) : widened<steps>(r, x, h, y);
}
template <product_precision P>
void rank_one_adjoint(const rank_one_recurrence<float>& r, in g, out h, out y) {
  fits_heads(r, g, h, y) ? rank_one_heads(P, true, r, g, h, y) : widened<steps_adjoint>(r, g, h, y);
}
template void rank_one<product_precision::float32>(const rank_one_recurrence<float>&, in, out, out);
template void rank_one<product_precision::bfloat16>(const rank_one_recurrence<float>&, in, out, out);
template void rank_one_adjoint<product_precision::float32>(const rank_one_recurrence<float>&, in, out, out);
template void rank_one_adjoint<product_precision::bfloat16>(const rank_one_recurrence<float>&, in, out, out);

}  // namespace alphaform::cuda
