// Where the streams of heads lie.
#include <alphaform/backends/cuda/heads/heads.hpp>
#include <alphaform/backends/cuda/heads/places.cuh>

namespace alphaform::cuda {
namespace {

constexpr axis time = axis::token;

unsigned rounded_up(std::size_t n) { return static_cast<unsigned>((n + 15) / 16 * 16); }
/// Do 16 bytes of a stream lie together and aligned, in tokens of every head?
bool in_fours(const chunked_heads& s, const float* data, std::int64_t token, std::int64_t along, std::size_t count,
              int place) {
  bool yes = along == 1 && count % 4 == 0 && token % 4 == 0 && reinterpret_cast<std::uintptr_t>(data) % 16 == 0;
  for (int a = 0; a < s.heads.axes; ++a) yes = yes && s.heads.step[place][a] % 4 == 0;
  return yes;
}

}  // namespace

extents heads_of(const out& h) {
  extents size = h.size;
  at(size, axis::state) = at(size, axis::chan) = 1;
  return size;
}

head_factors placed(bool adjoint, const factored<float>& f, std::size_t tokens) {
  const std::size_t first = adjoint ? tokens - 1 : 0;
  const auto token = [adjoint](const in& v) { return (adjoint ? -1 : 1) * static_cast<std::int64_t>(v.step(time)); };
  return {f.u.data + first * f.u.step(time), f.v.data + first * f.v.step(time), token(f.u), token(f.v),
          static_cast<int>(f.v.step(axis::state))};
}

chunked_heads placed(bool adjoint, const recurrence<float>& r, const in& x, const out& h, const out& y) {
  const std::size_t tokens = y.of(time), first = adjoint ? tokens - 1 : 0;
  const int way = adjoint ? -1 : 1;
  const factored<float>&write = adjoint ? r.read : r.write, &read = adjoint ? r.write : r.read,
        &bonus = r.bonus ? *r.bonus : r.read;
  chunked_heads s{};
  extents streams = heads_of(h);
  for (const axis a : every_axis)
    if (write.v.of(a) == 1 && read.v.of(a) == 1) at(streams, a) = 1;
  const in numbers{nullptr, streams, contiguous(streams)};
  s.heads = layout_of(heads_of(h), r.decay.u, r.decay.v, write.u, write.v, read.u, read.v, bonus.u, bonus.v, x, h, y,
                      numbers);
  s.streams = layout_of(streams, read.v, write.v);
  s.of[head_decay] = placed(adjoint, r.decay, tokens);
  s.of[head_write] = placed(adjoint, write, tokens);
  s.of[head_read] = placed(adjoint, read, tokens);
  s.of[head_bonus] = placed(adjoint, bonus, tokens);
  s.x = x.data + first * x.step(time);
  s.y = y.data + first * y.step(time);
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
  s.x_in_fours = in_fours(s, s.x, s.x_token, s.x_chan, s.channels, head_x);
  s.y_in_fours = in_fours(s, s.y, s.y_token, s.y_chan, s.channels, head_y);
  s.logarithmic = r.logarithmic;
  s.with_bonus = r.bonus.has_value();
  s.strict = r.exclusive;
  s.written = r.exclusive || !adjoint ? 1 : 0;
  s.read = r.exclusive || adjoint ? 0 : 1;
  return s;
}

bool takes_streams(const chunked_heads& s) {
  for (const head_stream k : {head_read, head_write})
    if (!in_fours(s, s.of[k].v, s.of[k].v_token, s.of[k].v_state, s.states, 2 * k + 1)) return false;
  return true;
}

void range_of_chunks::advance(head_factors& f) const {
  const auto way = static_cast<std::int64_t>(first);
  f.u += way * f.u_token;
  f.v += way * f.v_token;
}
chunked_heads range_of_chunks::of(chunked_heads s) const {
  const auto way = static_cast<std::int64_t>(first);
  for (head_factors& f : s.of) advance(f);
  s.x += way * s.x_token;
  s.y += way * s.y_token;
  s.tokens = static_cast<unsigned>(tokens);
  s.chunks = (s.tokens + head_tokens - 1) / head_tokens;
  return s;
}

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
