// Recurrences with a transition diagonal plus rank one in ranges of chunks.
#include <alphaform/backends/cuda/heads/corrected.cuh>
#include <alphaform/backends/cuda/heads/heads.hpp>
#include <alphaform/backends/cuda/heads/places.cuh>

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

/// q and p, which the adjoint exchanges.
corrected_heads corrections_of(bool adjoint, const rank_one_recurrence<float>& r, const out& h, const out& y) {
  corrected_heads c{};
  const factored<float>&q = adjoint ? r.p : r.q, &p = adjoint ? r.q : r.p;
  c.heads = layout_of(heads_of(h), q.u, q.v, p.u, p.v);
  c.q = placed(adjoint, q, y.of(axis::token));
  c.p = placed(adjoint, p, y.of(axis::token));
  return c;
}
corrected_heads at_range(const range_of_chunks& range, corrected_heads c) {
  for (head_factors<float>* f : {&c.q, &c.p}) range.advance(*f);
  return c;
}

}  // namespace

bool fits_heads(const rank_one_recurrence<float>& r, in x, const out& h, const out& y) {
  constexpr std::size_t most_states = 128;
  for (const in& v : {r.p.u, r.p.v, r.q.u, r.q.v})
    if (v.of(axis::chan) > 1) return false;
  return r.p.u.of(axis::state) == 1 && r.q.u.of(axis::state) == 1 && h.of(axis::state) <= most_states &&
         h.of(axis::column) == 1 && fits_heads(r.diagonal, x, h, y);
}

void rank_one_heads(bool adjoint, const rank_one_recurrence<float>& r, in x, out h, out y) {
  chunked_heads<float> s = placed<float>(adjoint, r.diagonal, {x, r.diagonal.write.v, r.diagonal.read.v}, h, y);
  corrected_heads c = corrections_of(adjoint, r, h, y);
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
    const corrected_heads with = at_range(range, c);
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

}  // namespace alphaform::cuda
