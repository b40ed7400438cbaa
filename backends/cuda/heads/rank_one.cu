// Recurrences with a transition diagonal plus rank one in ranges of chunks.
#include <alphaform/backends/cuda/heads/corrected.cuh>
#include <alphaform/backends/cuda/heads/heads.hpp>
#include <alphaform/backends/cuda/heads/places.cuh>
#include <alphaform/backends/cuda/heads/rounded.cuh>
#include <alphaform/backends/cuda/widened.hpp>

namespace alphaform::cuda {
namespace {

/// Of what reads, the results or for a correction, and what is written, inputs or corrections. Within a token the
/// adjoint writes and reads before the transition.
chunked_heads<float> pair_of(bool adjoint, const rank_one_recurrence<float>& r, bool probes, bool corrects, const in& x,
                             const out& h, const out& y) {
  recurrence<float> pair = r.diagonal;
  if (adjoint ? corrects : probes) pair.read = r.q;
  if (adjoint ? probes : corrects) pair.write = r.p;
  chunked_heads<float> s = placed<float>(adjoint, pair, {x, pair.write.v, pair.read.v}, h, y);
  if (adjoint ? corrects : probes) s.strict = true, s.written = 1, s.read = 0;
  return s;
}

/// q and p, which the adjoint exchanges. @param v  those that stand for the factors of p and q
template <class Number>
corrected_heads<Number> corrections_of(bool adjoint, const rank_one_recurrence<float>& r, const view<const Number>& p_v,
                                       const view<const Number>& q_v, const out& h, const out& y) {
  corrected_heads<Number> c{};
  const in &q_by = adjoint ? r.p.u : r.q.u, &p_by = adjoint ? r.q.u : r.p.u;
  const view<const Number>&q = adjoint ? p_v : q_v, &p = adjoint ? q_v : p_v;
  c.heads = layout_of(heads_of(h), q_by, q, p_by, p);
  c.q = placed(adjoint, q_by, q, y.of(axis::token));
  c.p = placed(adjoint, p_by, p, y.of(axis::token));
  return c;
}
template <class Number>
corrected_heads<Number> at_range(const range_of_chunks& range, corrected_heads<Number> c) {
  for (head_factors<Number>* f : {&c.q, &c.p}) range.advance(*f);
  return c;
}

/// By products of bfloat16, of heads whose states have one decay; false if their streams have to be read in another
/// way.
bool run_by_token(bool adjoint, const rank_one_recurrence<float>& r, in x, out h, out y) {
  float32_copies whole;
  rounded_streams rounded;
  rank_one_recurrence<float> o = r;
  recurrence<float>& d = o.diagonal;
  for (in* u : {&d.decay.u, &d.decay.v, &d.write.u, &d.read.u, &o.p.u, &o.q.u}) *u = whole(*u);
  chunked_heads<bf16::number> s =
      placed<bf16::number>(adjoint, d, {rounded(x), rounded(d.write.v), rounded(d.read.v)}, h, y);
  corrected_heads<bf16::number> c = corrections_of(adjoint, o, rounded(o.p.v), rounded(o.q.v), h, y);
  if (!takes_streams(s) || !takes_stream(c.q, s.states, c.heads, q_v) || !takes_stream(c.p, s.states, c.heads, p_v))
    return false;
  const std::size_t heads = s.heads.entries, state = std::size_t{s.wide_states} * s.wide_channels,
                    square = head_tokens * head_tokens, rows = head_tokens * s.wide_states;
  const ranges_of_chunks ranges(y.of(axis::token), heads * (state + 4 * rows + square) * sizeof(bf16::number));
  const std::size_t most = ranges.at_once() * heads;
  const scratch<bf16::number> reads(most * rows), writes(most * rows), probes(most * rows), corrections(most * rows),
      scores(most * square), states(most * state);
  const scratch<token_weights> weights(4 * most);
  const scratch<double> kept(most);  // by all states
  s.reads = reads.data();
  s.writes = writes.data();
  s.scores = scores.data();
  s.states_before = states.data();
  s.kept = kept.data();
  c.weights = weights.data();
  c.probes = probes.data();
  c.corrections = corrections.data();
  ranges.each([&](const range_of_chunks& range) {
    const chunked_heads<bf16::number> here = range.of(s);
    const corrected_heads<bf16::number> with = at_range(range, c);
    prepare_corrected(here, with);
    find_states(here, with);
    read_chunks(here);
  });
  return true;
}

void run(bool adjoint, const rank_one_recurrence<float>& r, in x, out h, out y) {
  chunked_heads<float> s = placed<float>(adjoint, r.diagonal, {x, r.diagonal.write.v, r.diagonal.read.v}, h, y);
  corrected_heads<float> c = corrections_of(adjoint, r, r.p.v, r.q.v, h, y);
  const std::size_t heads = s.heads.entries, state = std::size_t{s.wide_states} * s.wide_channels,
                    square = head_tokens * head_tokens, rows = head_tokens * s.wide_states;
  const ranges_of_chunks ranges(y.of(axis::token), heads * (state + 4 * rows + 4 * square) * sizeof(float));
  const std::size_t most = ranges.at_once() * heads;
  const scratch<float> reads(most * rows), writes(most * rows), probes(most * rows), corrections(most * rows),
      scores(most * square), of_corrections(most * square), probed(most * square), reflected(most * square),
      states(most * state);
  const scratch<double> kept(most * s.wide_states);
  const scratch<bool> strong(most);
  s.reads = reads.data();
  s.writes = writes.data();
  s.scores = scores.data();
  s.states_before = states.data();
  s.kept = kept.data();
  c.probes = probes.data();
  c.corrections = corrections.data();
  c.strong = strong.data();
  c.of_corrections = of_corrections.data();
  c.probed = probed.data();
  c.reflected = reflected.data();
  ranges.each([&](const range_of_chunks& range) {
    const chunked_heads<float> here = range.of(s);
    const corrected_heads<float> with = at_range(range, c);
    prepare_corrected(here, with);
    for (const bool by_probes : {false, true})
      for (const bool of_p : {false, true}) {
        chunked_heads<float> pair = range.of(pair_of(adjoint, r, by_probes, of_p, x, h, y));
        pair.reads = by_probes ? c.probes : s.reads;
        pair.writes = of_p ? c.corrections : s.writes;
        pair.scores = by_probes ? (of_p ? c.reflected : c.probed) : of_p ? c.of_corrections : s.scores;
        pair.kept = s.kept;
        pair.only = c.strong;
        prepare_by_state(pair);
      }
    solve_strong(here, with);
    find_states(here, with);
    read_chunks(here);
  });
}

}  // namespace

bool fits_heads(const rank_one_recurrence<float>& r, in x, const out& h, const out& y) {
  constexpr std::size_t most_states = 128;
  for (const in& v : {r.p.u, r.p.v, r.q.u, r.q.v})
    if (v.of(axis::chan) > 1) return false;
  return r.p.u.of(axis::state) == 1 && r.q.u.of(axis::state) == 1 && h.of(axis::state) <= most_states &&
         h.of(axis::column) == 1 && fits_heads(r.diagonal, x, h, y);
}

void rank_one_heads(product_precision precision, bool adjoint, const rank_one_recurrence<float>& r, in x, out h,
                    out y) {
  const bool one_decay = r.diagonal.decay.v.of(axis::state) == 1;
  if (precision == product_precision::bfloat16 && one_decay && run_by_token(adjoint, r, x, h, y)) return;
  float32_copies whole;
  run(adjoint, whole(r), whole(x), h, whole(y));
  whole.give_back();
}

}  // namespace alphaform::cuda
