// Heads whose transition is Diag(a) + p q': token i also writes p_i u_i, with what q_i reads of the state before it,
//   u_i = q_i S + sum_{j < i} (Q_ij x_j + V_ij u_j),
// for the state S before the chunk and the scores Q of what q reads of w, V of what it reads of p. So u = (1 - V)^-1
// (q S + Q x), and a chunk is one of a head without p and q that has other rows and scores: with q* = (1 - V)^-1 q and
// Q* = (1 - V)^-1 Q, and P what r reads of p,
//   y = (r + P q*) S + (A + P Q*) x,   S <- Diag(a) S + p' q* S + (w + Q*' p)' x.
#pragma once
#include <alphaform/backends/cuda/heads/head.cuh>

namespace alphaform::cuda {

/// What the tokens of a stream are weighted by, where all states of a head have the same decay.
struct alignas(16) token_weights final {
  float2 of_score[head_tokens];  ///< u, and the power of 2 that the decays before its place are
  float of_row[head_tokens];     ///< u and the decays from the chunk's beginning, or to its end
};

/// The operands of corrected_heads::heads.
enum correction_place : int { q_u, q_v, p_u, p_v, correction_places };

template <class Number>
struct corrected_heads final {
  layout<correction_places> heads;
  head_factors<Number> q, p;
  // Scratch of a range of chunks, as in chunked_heads.
  Number *probes, *corrections;                ///< q*, p
  token_weights* weights;                      ///< of bfloat16: of read, q, write and p
  bool* strong;                                ///< of float32: those that are left to prepare_by_state
  float *of_corrections, *probed, *reflected;  ///< P, Q, V of these
};

/// prepare_corrected.cu: rows, scores and kept of heads without p and q.
void prepare_corrected(const chunked_heads<float>&, const corrected_heads<float>&);
/// The same of strong chunks alone, from rows and scores of p and q.
void solve_strong(const chunked_heads<float>&, const corrected_heads<float>&);
/// prepare_corrected_by_token.cu: the same where all states of a head have one decay.
void prepare_corrected(const chunked_heads<bf16::number>&, const corrected_heads<bf16::number>&);
/// corrected_states.cu, corrected_states_of_bfloat16.cu: the states before each chunk, from h on, and h after the last.
void find_states(const chunked_heads<float>&, const corrected_heads<float>&);
void find_states(const chunked_heads<bf16::number>&, const corrected_heads<bf16::number>&);

}  // namespace alphaform::cuda
