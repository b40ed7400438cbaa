// The same operator from factors that cannot overflow, or at another cost. Neither is part of the normal form.
#pragma once
#include <alphaform/algebra/rules/symbols.hpp>

namespace alphaform::rows {

// p_t = max(p_{t-1} + log decay, key) keeps every exponent below or at 0. RowNorm does not see it: it is held.
inline constexpr side key = z, log_decay = x, log_bonus = y;
inline constexpr side peak_now = held(peak(log_decay, key)), peak_before = held(prior(log_decay, key));
inline constexpr side row_peak = held(max(peak_before, add(log_bonus, key)));

inline constexpr auto stabilising_rows = [] {
  constexpr auto exp = [](const side& a) { return f<functions::exp>(a); };
  return std::array{
      row("running maximum", N(then(both(then(Delay, S(D(exp(x)))), D(exp(y))), D(exp(z)))),
          N(both(then(D(exp(minus(peak_before, row_peak))),
                      then(Delay, then(S(D(exp(minus(add(log_decay, peak_before), peak_now)))),
                                       D(exp(minus(key, peak_now)))))),
                 D(exp(minus(add(log_bonus, key), row_peak))))),
          rule_class::stabilising, "Milakov and Gimelshein 2018; RWKV-4's own kernel",
          "RowNorm does not see a positive factor of a row: with the running maximum p_t = max(p_{t-1} + log decay, "
          "key) as reference every exponent is at most 0."),
  };
}();

/// mean over channels of s^2
constexpr side mean_square(const side& s) {
  return at(D(build::inverse_size(s, chan)), at(sum_over(chan), f<functions::square>(s)));
}
/// The factor of an RMS norm without, and with, an epsilon.
constexpr side statistic(const side& s) { return f<functions::rsqrt>(mean_square(s)); }
constexpr side statistic(const side& s, const side& epsilon) {
  return f<functions::rsqrt>(add(mean_square(s), epsilon));
}

inline constexpr auto planning_rows = [] {
  constexpr auto k = rule_class::planning;
  constexpr condition no_part{"P and Q do not use the complex parts",
                              [](const workspace& g, const binding& b) {
                                const auto free = [&g](node_index i) {
                                  const signature s = signature_of(g, i);
                                  return s.known && !s.mixes_tokens && !(s.mixes | s.varies).touches(part) &&
                                         !(g[i].from | g[i].to).touches(part);
                                };
                                return free(b["p"]) && free(b["q"]);
                              },
                              "pq"};
  // Blocks of a state of two parts: 11, 21 and 22.
  const side first = then(Embed, Re), second = then(Turn, then(Embed, then(Re, adj(Turn)))),
             below = then(Turn, then(Embed, Re));
  return std::array{
      row("fuse Diags", then(D(x), D(y)), D(mul(widened(x, mul(x, y)), widened(y, mul(x, y)))), k, "pointwise products",
          "One pass instead of two."),
      row("fold into the read", then(D(x), then(contract("p"), D(y))),
          then(contract("p"), D(mul(widened(x, mul(x, y)), widened(y, mul(x, y))))), k,
          "Diag(d) Unrolled(a, b, c) = Unrolled(a, b, d c)", "The gate becomes part of the read.",
          {"x lacks the axes that are summed",
           [](const workspace& g, const binding& b) { return !g[b["p"]].from.touches(g[b["x"]].to); }, "px"}),
      row("fold into the write", then(D(y), then(expand("p"), D(x))),
          then(D(mul(widened(x, mul(x, y)), widened(y, mul(x, y)))), expand("p")), k,
          "Unrolled(a, b, c) Diag(d) = Unrolled(a, b d, c)", "The gate becomes part of the write.",
          {"x lacks the axes that are made",
           [](const workspace& g, const binding& b) { return !g[b["p"]].to.touches(g[b["x"]].to); }, "px"}),
      row("common right factor", both(then(p, r), then(q, r)), then(both(p, q), r), k, "distributivity",
          "Two recurrences with the same decay and write share their state."),
      row("common left factor", both(then(r, p), then(r, q)), then(r, both(p, q)), k, "distributivity",
          "Two recurrences with the same decay and read share their state."),
      row("sum of Diags", both(D(x), D(y)), D(add(widened(x, mul(x, y)), widened(y, mul(x, y)))), k, "pointwise sums",
          ""),
      row("scale before a norm without epsilon", at(D(statistic(at(D(x), y))), at(D(x), y)), at(D(statistic(y)), y), k,
          "rms(a y) = a rms(y)", "A positive factor of a token cancels in its norm, if that has no epsilon.",
          {"x is positive and the same for all channels",
           [](const workspace& g, const binding& b) { return positive(g, b["x"]) && !g[b["x"]].to.touches(chan); },
           "x"}),
      row("two recurrences as one", then(S(p), S(q)),
          then(then(Re, adj(Turn)),
               then(S(both(then(first, q), both(then(below, q), then(second, p)))), both(Embed, then(Turn, Embed)))),
          k, "a state of two parts, block triangular",
          "The inner state is carried beside the outer one; the transition is not diagonal any more.", no_part),
      row("filter as a window", C(w), then(sum_over(tap), then(D(w), lags(w))), k,
          "Conv = Unrolled with a nilpotent shift",
          "The last K tokens are the state: beside a recurrence of N entries, a state of N + K."),
  };
}();

}  // namespace alphaform::rows
