// Where the streams of heads lie, and ranges of chunks for which scratch is at hand.
#include <algorithm>
#include <alphaform/backends/cuda/heads/head.cuh>
#include <alphaform/backends/cuda/heads/heads.hpp>

namespace alphaform::cuda {
namespace {

constexpr axis time = axis::token;
constexpr std::size_t most_scratch = std::size_t{1} << 28;  // bytes

unsigned rounded_up(std::size_t n) { return static_cast<unsigned>((n + 15) / 16 * 16); }
extents heads_of(const out& h) {
  extents size = h.size;
  at(size, axis::state) = at(size, axis::chan) = 1;
  return size;
}

/// Do 16 bytes of a stream lie together and aligned, in tokens of every head?
bool in_fours(const chunked_heads& s, const float* data, std::int64_t token, std::int64_t along, std::size_t count,
              int place) {
  bool yes = along == 1 && count % 4 == 0 && token % 4 == 0 && reinterpret_cast<std::uintptr_t>(data) % 16 == 0;
  for (int a = 0; a < s.heads.axes; ++a) yes = yes && s.heads.step[place][a] % 4 == 0;
  return yes;
}
head_factors placed(const factored<float>& f, std::size_t first, int way) {
  const auto token = [way](const in& v) { return way * static_cast<std::int64_t>(v.step(time)); };
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
  s.of[head_decay] = placed(r.decay, first, way);
  s.of[head_write] = placed(write, first, way);
  s.of[head_read] = placed(read, first, way);
  s.of[head_bonus] = placed(bonus, first, way);
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

/// Can products take what is read and written as it is, but for a weight of each token?
bool takes_streams(const chunked_heads& s) {
  for (const head_stream k : {head_read, head_write})
    if (!in_fours(s, s.of[k].v, s.of[k].v_token, s.of[k].v_state, s.states, 2 * k + 1)) return false;
  return true;
}

/// So many tokens further on.
void advance(chunked_heads& s, std::size_t tokens) {
  const auto way = static_cast<std::int64_t>(tokens);
  for (head_factors& f : s.of) f.u += way * f.u_token, f.v += way * f.v_token;
  s.x += way * s.x_token;
  s.y += way * s.y_token;
}

}  // namespace

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

void unrolled_heads(bool adjoint, const recurrence<float>& r, in x, out h, out y) {
  chunked_heads s = placed(adjoint, r, x, h, y);
  const bool by_token = r.decay.v.of(axis::state) == 1 && !r.bonus && takes_streams(s);
  const std::size_t heads = s.heads.entries, tokens = y.of(time), all = (tokens + head_tokens - 1) / head_tokens,
                    state = std::size_t{s.wide_states} * s.wide_channels, square = head_tokens * head_tokens,
                    rows = head_tokens * (by_token ? 1 : s.wide_states);
  const std::size_t bytes = heads * (state + 2 * rows + 2 * square) * sizeof(float),
                    at_once = std::clamp<std::size_t>(most_scratch / bytes, 1, std::min<std::size_t>(all, 65535)),
                    most = at_once * heads;
  const scratch<float> reads(most * rows), writes(most * rows), scores(most * square), states(most * state),
      products(by_token ? at_once * s.streams.entries * square : 1);
  const scratch<double> kept(most * s.wide_states);
  (by_token ? s.read_weights : s.reads) = reads.data();
  (by_token ? s.write_weights : s.writes) = writes.data();
  s.products = products.data();
  s.scores = scores.data();
  s.states_before = states.data();
  s.kept = kept.data();
  for (std::size_t chunk = 0; chunk < all; chunk += at_once) {
    if (chunk > 0) advance(s, at_once * head_tokens);
    s.chunks = static_cast<unsigned>(std::min(at_once, all - chunk));
    s.tokens = static_cast<unsigned>(std::min(tokens - chunk * head_tokens, at_once * head_tokens));
    by_token ? prepare_by_token(s) : prepare_by_state(s);
    find_states(s);
    read_chunks(s);
  }
}

}  // namespace alphaform::cuda
