// Queries of one Mamba layer of the 130m model's width, and how their times grow with each size.
#include <alphaform/algebra/layers.hpp>
#include <alphaform/benchmarks/layer_cases.hpp>

namespace alphaform::benchmarks {

namespace {

using attention = implicit_attention<float>;

enum class cost : std::uint8_t {
  layer,
  scan,
  map
};  ///< a layer's controls are part of the job, others' are there before

struct query_of_mamba final {
  std::string_view name, what;
  std::size_t tokens;
  cost of;
  void (*ask)(attention&, const tensor<float>& x);
};

tensor<float> ones_of(const attention& h) { return arena<float>(backend()).filled(stream_extents(h.tokens(), 1), 1); }

template <reduction Over>
void map_over(attention& h, const tensor<float>&) {
  h.reduced_matrix(Over);
}

void product(attention& h, const tensor<float>& x) { h.apply(x); }
void last_row(attention& h, const tensor<float>&) { h.row(h.tokens() - 1); }

constexpr query_of_mamba queries[] = {
    {"mamba/output", "y by the recurrence", 2048, cost::layer, [](attention& h, const auto&) { h.output(); }},
    {"mamba/apply", "H x", 2048, cost::scan, product},
    {"mamba/apply-1024", "H x", 1024, cost::scan, product},
    {"mamba/apply-65536", "H x", 65536, cost::scan, product},
    {"mamba/row", "the last row of every channel", 2048, cost::scan, last_row},
    {"mamba/row-1024", "the last row of every channel", 1024, cost::scan, last_row},
    {"mamba/row-65536", "the last row of every channel", 65536, cost::scan, last_row},
    {"mamba/adjoint", "H' g", 2048, cost::scan, [](attention& h, const auto& x) { h.adjoint(x); }},
    {"mamba/rollout", "what a rollout takes of a layer: mean H 1 and mean H' w", 2048, cost::scan,
     [](attention& h, const auto&) { h.mean_adjoint(h.mean_apply(ones_of(h))); }},
    {"mamba/map-256", "mean over channels of H", 256, cost::map, map_over<reduction::mean>},
    {"mamba/map", "mean over channels of H", 1024, cost::map, map_over<reduction::mean>},
    {"mamba/map-abs", "mean over channels of |H|", 1024, cost::map, map_over<reduction::abs_mean>},
    {"mamba/map-clamp", "mean over channels of max(H, 0)", 1024, cost::map, map_over<reduction::clamp>},
    {"mamba/map-max", "the largest |H| of all channels", 1024, cost::map, map_over<reduction::max>},
    {"mamba/map-8192", "mean over channels of H", 8192, cost::map, map_over<reduction::mean>},
};

problem_sizes layer(std::size_t tokens, std::size_t channels = 1536, std::size_t states = 16) {
  return {.tokens = tokens, .channels = channels, .states = states, .ranks = (channels + 31) / 32};
}

/// An exponential for each decay; two for Delta, and one each for the gate and the value's SiLU. A map is half of a
/// product [T, C N] by [C N, T].
needs needs_of(const problem& p, cost of) {
  const problem_sizes& s = p.sizes();
  const auto T = static_cast<double>(s.tokens), C = static_cast<double>(s.channels), N = static_cast<double>(s.states),
             R = static_cast<double>(s.ranks);
  const double controls = of == cost::layer ? 2 * T * C * (R + 2 * N) + 2 * T * C * R : 0;
  needs n{.bytes = p.stream_bytes(), .exponentials = T * C * (N + 4), .flops = controls};
  if (of == cost::map) {
    n.bytes = p.stream_bytes() + T * T * sizeof(float);
    n.flops = controls + T * T * C * N;
    n.products = {std::min<std::size_t>(s.tokens, 512), std::min<std::size_t>(s.tokens, 512), 4096};
  } else {
    n.products = {std::min<std::size_t>(s.tokens, 512), s.ranks + 2 * s.states, s.channels};
  }
  return n;
}

named_case case_of(std::string name, const query_of_mamba& q, const problem_sizes& sizes) {
  return {std::move(name), std::string(q.what), [q, sizes](bool small) {
            const auto p = std::make_shared<problem>("mamba", small ? reduced(sizes) : sizes);
            return job{needs_of(*p, q.of), [q, p, h = p->bound()] {
                         q.of == cost::layer ? q.ask(*p->bound(), p->x()) : q.ask(*h, p->x());
                       }};
          }};
}

const query_of_mamba& query_named(std::string_view name) {
  return *std::find_if(std::begin(queries), std::end(queries), [name](const auto& q) { return q.name == name; });
}

growth_curve curve(std::string name, std::string size, std::string_view query, std::vector<std::size_t> values,
                   problem_sizes (*sizes)(std::size_t value)) {
  growth_curve c{std::move(name), std::move(size), {}};
  for (const std::size_t v : values)
    c.points.push_back(
        {v, case_of("growth/" + c.name + "/" + c.size + "=" + std::to_string(v), query_named(query), sizes(v))});
  return c;
}

/// The recurrence with what is pointwise around it, as kernels for it take it.
constexpr axes lanes = group | chan, states = group | state;
const expr core = [] {
  const auto dt = softplus(input<"dt", lanes> + param<"dt_bias", lanes>);
  const auto s6 = unrolled(decay(exp(dt * -exp(param<"A_log", lanes | state>))), write(dt * input<"B", states>),
                           read(input<"C", states>));
  return (diag(silu(input<"z", lanes>)) * (s6 + diag(param<"D", lanes>)) * input<"x", lanes>).e;
}();
needs core_needs(const problem_sizes& s) {
  return {.exponentials = static_cast<double>(s.tokens * s.groups * s.channels) * (static_cast<double>(s.states) + 3)};
}
const layer_row cores[] = {
    {"mamba-core", "mamba_core", "", {.tokens = 2048, .channels = 1536, .states = 16}, core_needs, &core},
    {"mamba-core", "mamba_core", "65536", {.tokens = 65536, .channels = 1536, .states = 16}, core_needs, &core},
    {"mamba-core",
     "mamba_core",
     "batch",
     {.tokens = 2048, .channels = 1536, .states = 16, .groups = 8},
     core_needs,
     &core}};

}  // namespace

std::vector<named_case> mamba_cases() {
  std::vector<named_case> all = layer_cases(cores);
  for (const query_of_mamba& q : queries) all.push_back(case_of(std::string(q.name), q, layer(q.tokens)));
  return all;
}

std::vector<growth_curve> growth_curves() {
  const auto of_tokens = [](std::size_t v) { return layer(v, 768); };
  const auto of_channels = [](std::size_t v) { return layer(512, v); };
  const auto of_states = [](std::size_t v) { return layer(512, 768, v); };
  return {curve("apply", "T", "mamba/apply", {512, 1024, 2048, 4096, 8192}, of_tokens),
          curve("row", "T", "mamba/row", {512, 1024, 2048, 4096, 8192}, of_tokens),
          curve("map", "T", "mamba/map", {128, 256, 512, 1024}, of_tokens),
          curve("apply", "C", "mamba/apply", {192, 384, 768, 1536}, of_channels),
          curve("map", "C", "mamba/map", {192, 384, 768, 1536}, of_channels),
          curve("apply", "N", "mamba/apply", {8, 16, 32, 64}, of_states),
          curve("map", "N", "mamba/map", {8, 16, 32, 64}, of_states)};
}

}  // namespace alphaform::benchmarks
