// Recurrences with a transition diagonal plus rank one in ranges of chunks.
#include <alphaform/backends/cuda/heads/corrected.cuh>
#include <alphaform/backends/cuda/heads/heads.hpp>
#include <alphaform/backends/cuda/heads/places.cuh>

namespace alphaform::cuda {
namespace {

/// Of what reads, the results or for a correction, and what is written, inputs or corrections. Within a token the
/// adjoint writes and reads before the transition.
chunked_heads pair_of(bool adjoint, const rank_one_recurrence<float>& r, bool probes, bool corrects, const in& x,
                      const out& h, const out& y) {
  recurrence<float> pair = r.diagonal;
  if (adjoint ? corrects : probes) pair.read = r.q;
  if (adjoint ? probes : corrects) pair.write = r.p;
  chunked_heads s = placed(adjoint, pair, x, h, y);
  if (adjoint ? corrects : probes) s.strict = true, s.written = 1, s.read = 0;
  return s;
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
  chunked_heads s = placed(adjoint, r.diagonal, x, h, y);
  const std::size_t heads = s.heads.entries, state = std::size_t{s.wide_states} * s.wide_channels,
                    square = head_tokens * head_tokens, rows = head_tokens * s.wide_states;
  const ranges_of_chunks ranges(y.of(axis::token), heads * (state + 4 * rows + 4 * square) * sizeof(float));
  const std::size_t most = ranges.at_once() * heads;
  const scratch<float> all_rows(4 * most * rows), all_scores(4 * most * square), states(most * state);
  const scratch<double> kept(most * s.wide_states);
  float* const row = all_rows.data();
  float* const score = all_scores.data();
  const corrected_heads c{row,   row + most * rows,     row + 2 * most * rows,     row + 3 * most * rows,
                          score, score + most * square, score + 2 * most * square, score + 3 * most * square};
  s.reads = c.reads;
  s.writes = c.writes;
  s.scores = c.scores;
  s.states_before = states.data();
  s.kept = kept.data();
  ranges.each([&](const range_of_chunks& range) {
    for (const bool probes : {false, true})
      for (const bool corrects : {false, true}) {
        chunked_heads pair = range.of(pair_of(adjoint, r, probes, corrects, x, h, y));
        pair.reads = probes ? c.probes : c.reads;
        pair.writes = corrects ? c.corrections : c.writes;
        pair.scores = probes ? (corrects ? c.reflected : c.probed) : corrects ? c.of_corrections : c.scores;
        pair.kept = s.kept;
        prepare_by_state(pair);
      }
    const chunked_heads here = range.of(s);
    solve(here, c);
    find_states(here, c);
    read_chunks(here);
  });
}

}  // namespace alphaform::cuda
