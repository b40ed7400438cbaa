// Where the streams of heads lie.
#include <alphaform/backends/cuda/formats.cuh>
#include <alphaform/backends/cuda/heads/heads.hpp>
#include <alphaform/backends/cuda/heads/places.cuh>

namespace alphaform::cuda {
namespace {

constexpr axis time = axis::token;

unsigned rounded_up(std::size_t n) { return static_cast<unsigned>((n + 15) / 16 * 16); }
/// Do 16 bytes of a stream lie together and aligned, in tokens of every head?
template <class Number, int Operands>
bool lies_together(const layout<Operands>& heads, int place, const Number* data, std::int64_t token, std::int64_t along,
                   std::size_t count) {
  constexpr auto n = static_cast<int>(in_16_bytes<Number>);
  bool yes = along == 1 && count % n == 0 && token % n == 0 && reinterpret_cast<std::uintptr_t>(data) % 16 == 0;
  for (int a = 0; a < heads.axes; ++a) yes = yes && heads.step[place][a] % n == 0;
  return yes;
}

}  // namespace

extents heads_of(const out& h) {
  extents size = h.size;
  at(size, axis::state) = at(size, axis::chan) = 1;
  return size;
}

template <class Number>
head_factors<Number> placed(bool adjoint, const in& u, const view<const Number>& v, std::size_t tokens) {
  const std::size_t first = adjoint ? tokens - 1 : 0;
  const auto token = [adjoint](const auto& of) {
    return (adjoint ? -1 : 1) * static_cast<std::int64_t>(of.step(time));
  };
  return {u.data + first * u.step(time), v.data + first * v.step(time), token(u), token(v),
          static_cast<int>(v.step(axis::state))};
}

template <class Number>
chunked_heads<Number> placed(bool adjoint, const recurrence<float>& r, const head_inputs<Number>& inputs, const out& h,
                             const out& y) {
  const view<const Number>& x = inputs.x;
  const std::size_t tokens = y.of(time), first = adjoint ? tokens - 1 : 0;
  const int way = adjoint ? -1 : 1;
  const in &write_by = adjoint ? r.read.u : r.write.u, &read_by = adjoint ? r.write.u : r.read.u;
  const auto &write = adjoint ? inputs.read : inputs.write, &read = adjoint ? inputs.write : inputs.read;
  const factored<float> bonus = r.bonus ? *r.bonus : factored<float>{r.decay.u, r.decay.u};
  chunked_heads<Number> s{};
  extents streams = heads_of(h);
  for (const axis a : every_axis)
    if (write.of(a) == 1 && read.of(a) == 1) at(streams, a) = 1;
  const in numbers{nullptr, streams, contiguous(streams)};
  s.heads =
      layout_of(heads_of(h), r.decay.u, r.decay.v, bonus.u, bonus.v, write_by, write, read_by, read, x, h, y, numbers);
  s.streams = layout_of(streams, read, write);
  s.of = {{},
          placed(adjoint, bonus.u, bonus.v, tokens),
          nullptr,
          placed(adjoint, write_by, write, tokens),
          placed(adjoint, read_by, read, tokens)};
  if (is_bfloat16(r.decay.v)) {
    const auto decay = placed(adjoint, r.decay.u, as_bfloat16(r.decay.v), tokens);
    s.of.decay = {decay.u, nullptr, decay.u_token, decay.v_token, decay.v_state};
    s.of.rounded_decay = decay.v;
  } else {
    s.of.decay = placed(adjoint, r.decay.u, r.decay.v, tokens);
  }
  s.x = x.data + first * x.step(time);
  if (is_bfloat16(y))
    s.rounded_y = as_bfloat16(y).from(first * y.step(time));
  else
    s.y = y.from(first * y.step(time));
  s.h = h.data;
  s.x_token = way * static_cast<std::int64_t>(x.step(time));
  s.y_token = way * static_cast<std::int64_t>(y.step(time));
  s.x_chan = static_cast<int>(x.step(axis::chan));
  s.y_chan = static_cast<int>(y.step(axis::chan));
  s.h_chan = static_cast<int>(h.step(axis::chan));
  s.h_state = static_cast<int>(h.step(axis::state));
  s.states = static_cast<unsigned>(h.of(axis::state));
  s.channels = static_cast<unsigned>(h.of(axis::chan));
  s.wide_states = rounded_up(s.states);
  s.wide_channels = rounded_up(s.channels);
  s.x_lies_together = lies_together(s.heads, head_x, s.x, s.x_token, s.x_chan, s.channels);
  s.y_lies_together = is_bfloat16(y) ? lies_together(s.heads, head_y, s.rounded_y, s.y_token, s.y_chan, s.channels)
                                     : lies_together(s.heads, head_y, s.y, s.y_token, s.y_chan, s.channels);
  s.logarithmic = r.logarithmic;
  s.with_bonus = r.bonus.has_value();
  s.strict = r.exclusive;
  s.written = r.exclusive || !adjoint ? 1 : 0;
  s.read = r.exclusive || adjoint ? 0 : 1;
  return s;
}

template <class Number, int Operands>
bool takes_stream(const head_factors<Number>& f, std::size_t states, const layout<Operands>& heads, int place) {
  return lies_together(heads, place, f.v, f.v_token, f.v_state, states);
}
template <class Number>
bool takes_streams(const chunked_heads<Number>& s) {
  return takes_stream(s.of.read, s.states, s.heads, read_v) && takes_stream(s.of.write, s.states, s.heads, write_v);
}

template <class Number>
chunked_heads<Number> range_of_chunks::of(chunked_heads<Number> s) const {
  const auto way = static_cast<std::int64_t>(first);
  advance(s.of.decay);
  if (s.of.rounded_decay != nullptr) s.of.rounded_decay += way * s.of.decay.v_token;
  advance(s.of.bonus);
  advance(s.of.write);
  advance(s.of.read);
  s.x += way * s.x_token;
  if (s.y != nullptr) s.y += way * s.y_token;
  if (s.rounded_y != nullptr) s.rounded_y += way * s.y_token;
  s.tokens = static_cast<unsigned>(tokens);
  s.chunks = (s.tokens + head_tokens - 1) / head_tokens;
  return s;
}

template head_factors<float> placed(bool, const in&, const in&, std::size_t);
template head_factors<bf16::number> placed(bool, const in&, const view<const bf16::number>&, std::size_t);
template chunked_heads<float> placed(bool, const recurrence<float>&, const head_inputs<float>&, const out&, const out&);
template chunked_heads<bf16::number> placed(bool, const recurrence<float>&, const head_inputs<bf16::number>&,
                                            const out&, const out&);
template bool takes_stream(const head_factors<bf16::number>&, std::size_t, const layout<4>&, int);
template bool takes_streams(const chunked_heads<float>&);
template bool takes_streams(const chunked_heads<bf16::number>&);
template chunked_heads<float> range_of_chunks::of(chunked_heads<float>) const;
template chunked_heads<bf16::number> range_of_chunks::of(chunked_heads<bf16::number>) const;

bool fits_heads(const recurrence<float>& r, in x, const out& h, const out& y) {
  const in bonus_u = r.bonus ? r.bonus->u : x, bonus_v = r.bonus ? r.bonus->v : r.read.v;
  for (const in& v : {r.decay.u, r.decay.v, r.write.u, r.write.v, r.read.u, r.read.v, bonus_v})
    if (v.of(axis::chan) > 1) return false;
  for (const in& v : {r.decay.u, r.write.u, r.read.u, x, bonus_u, in(y)})
    if (v.of(axis::state) > 1) return false;
  if (r.bonus && bonus_u.of(axis::chan) > 1) return false;
  for (const axis a : every_axis)
    if (a != time && a != axis::state && y.of(a) != h.of(a)) return false;
  return y.of(time) >= head_tokens && h.of(axis::state) >= 16 && h.of(axis::state) <= 512 && h.of(axis::chan) >= 16 &&
         volume(heads_of(h)) < 65536 && volume(y.size) > 0;
}

}  // namespace alphaform::cuda
