// Layers with a matrix a head as state, computed by chunks of tokens.
#include <alphaform/algebra/layers.hpp>
#include <alphaform/benchmarks/layer_cases.hpp>

namespace alphaform::benchmarks {

namespace {

struct counts final {
  double T, H, N, C;  // H of heads and groups together
  explicit counts(const problem_sizes& s)
      : T(static_cast<double>(s.tokens)),
        H(static_cast<double>(s.heads * s.groups)),
        N(static_cast<double>(s.states)),
        C(static_cast<double>(s.channels)) {}
};

/// Products of chunks of 64 tokens: scores Q K' (whole, not only their causal half) and what they make of V, and what
/// is read from the state before and written to it.
needs chunked(const problem_sizes& s, double exponentials) {
  const counts n(s);
  return {.exponentials = exponentials, .flops = n.T * n.H * (2 * 64 * (n.N + n.C) + 4 * n.N * n.C)};
}
/// Beside those: scores K K', the triangular solve for keys and values, and what the solved keys take out of the state.
needs chunked_delta(const problem_sizes& s, double exponentials) {
  const counts n(s);
  needs all = chunked(s, exponentials);
  all.flops += n.T * n.H * (2 * 64 * n.N + 64 * (n.N + n.C) + 2 * n.N * n.C);
  return all;
}

/// exp and log of the sigmoid of each decay, its exp; the gate's SiLU.
needs gla_needs(const problem_sizes& s) {
  const counts n(s);
  return chunked(s, n.T * n.H * (3 * n.N + n.C));
}
/// The angle's sine and cosine, which all heads share; the gate's SiLU.
needs retnet_needs(const problem_sizes& s) {
  const counts n(s);
  return chunked(s, n.T * (n.N + n.H * n.C));
}
/// SiLU of the values and the gate; one decay a head; B and C are those of a group.
needs mamba2_needs(const problem_sizes& s) {
  const counts n(s);
  const auto G = static_cast<double>(s.groups);
  return chunked(s, n.T * (2 * n.H * n.C + 3 * n.H + 2 * G * n.N));
}
/// exp(-exp(w)); the gate's SiLU.
needs rwkv6_needs(const problem_sizes& s) {
  const counts n(s);
  return chunked(s, n.T * n.H * (2 * n.N + n.C));
}
/// The decay, the rate of removal and the share of the first layer's value.
needs rwkv7_needs(const problem_sizes& s) {
  const counts n(s);
  return chunked_delta(s, n.T * n.H * (3 * n.N + n.C));
}
/// SiLU of queries, keys, values and the gate.
needs gated_delta_net_needs(const problem_sizes& s) {
  const counts n(s);
  return chunked_delta(s, n.T * n.H * (2 * n.N + 2 * n.C));
}

/// The recurrences alone, on decays, writes and reads that are there: of nothing but products and their weights.
constexpr axes keys = head | state, values = head | chan;
constexpr auto key = write(input<"k", keys>);
constexpr auto query = read(input<"q", keys>);
constexpr auto value = input<"x", values>;
const expr gla_core = (unrolled(decay(exp(input<"log_a", keys>)), key, query) * value).e;
const expr retnet_core = (unrolled(decay(param<"gamma", head>), key, query) * value).e;
const expr ssd =
    (unrolled(decay(exp(input<"log_a", head>)), write(input<"b", state>), read(input<"c", state>)) * value).e;
const expr rwkv6_core =
    (unrolled(decay(exp(input<"log_a", keys>)), key, query, bonus(param<"time_faaaa", keys>)) * value).e;
constexpr auto corrected = outer(input<"kk", keys>, input<"kk", keys>);
const expr rwkv7_core = (unrolled(diag(exp(input<"log_a", keys>)) - corrected, key, query) * value).e;
const expr gated_delta_core = (unrolled(diag(exp(input<"log_a", head>)) - corrected, key, query) * value).e;
/// The decay of every state.
needs keys_needs(const problem_sizes& s) {
  const counts n(s);
  return chunked(s, n.T * n.H * n.N);
}
/// The decay of every head.
needs heads_needs(const problem_sizes& s) {
  const counts n(s);
  return chunked(s, n.T * n.H);
}

/// The same with a correction of the state.
needs corrected_keys_needs(const problem_sizes& s) {
  const counts n(s);
  return chunked_delta(s, n.T * n.H * n.N);
}
needs corrected_heads_needs(const problem_sizes& s) {
  const counts n(s);
  return chunked_delta(s, n.T * n.H);
}

constexpr problem_sizes of_tokens(problem_sizes s, std::size_t tokens) {
  s.tokens = tokens;
  return s;
}
constexpr problem_sizes wide{.channels = 512, .states = 256, .heads = 4},
    of_ssd{.channels = 64, .states = 128, .heads = 24}, square{.channels = 64, .states = 64, .heads = 24};

/// The recurrences alone, of so many tokens.
std::vector<layer_row> cores(std::string_view suffix, std::size_t tokens) {
  return {{"gla-core", "gla_core", suffix, of_tokens(wide, tokens), keys_needs, &gla_core},
          {"retnet-core", "retnet_core", suffix, of_tokens(wide, tokens), heads_needs, &retnet_core},
          {"ssd", "ssd", suffix, of_tokens(of_ssd, tokens), heads_needs, &ssd},
          {"rwkv6-core", "rwkv6_core", suffix, of_tokens(square, tokens), keys_needs, &rwkv6_core},
          {"rwkv7-core", "rwkv7_core", suffix, of_tokens(square, tokens), corrected_keys_needs, &rwkv7_core},
          {"gated-delta-core", "gated_delta_core", suffix, of_tokens(square, tokens), corrected_heads_needs,
           &gated_delta_core}};
}

const layer_row rows[] = {
    {"gla", "gla", "", {.tokens = 4096, .channels = 512, .states = 256, .ranks = 16, .groups = 4}, gla_needs},
    {"retnet", "retnet", "", {.tokens = 4096, .channels = 512, .states = 256, .groups = 4}, retnet_needs},
    {"mamba2", "mamba2", "", {.tokens = 4096, .channels = 64, .states = 128, .heads = 24}, mamba2_needs},
    {"rwkv6", "rwkv6", "", {.tokens = 4096, .channels = 64, .states = 64, .heads = 24}, rwkv6_needs},
    {"rwkv7", "rwkv7", "", {.tokens = 4096, .channels = 64, .states = 64, .heads = 24}, rwkv7_needs},
    {"gated_delta_net",
     "gated_delta_net",
     "",
     {.tokens = 4096, .channels = 256, .states = 128, .groups = 6},
     gated_delta_net_needs}};

}  // namespace

std::vector<named_case> head_cases() {
  std::vector<named_case> all = layer_cases(rows);
  const auto add = [&all](const std::vector<named_case>& more) { all.insert(all.end(), more.begin(), more.end()); };
  add(layer_cases(cores("", 4096)));
  add(layer_cases(cores("2048", 2048)));
  add(layer_cases(cores("16384", 16384)));
  return all;
}

}  // namespace alphaform::benchmarks
