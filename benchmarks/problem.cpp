#include <alphaform/algebra/term_view.hpp>
#include <alphaform/architectures/registry.hpp>
#include <alphaform/backends/engine/shapes.hpp>
#include <alphaform/backends/parallel.hpp>
#include <alphaform/benchmarks/problem.hpp>
#include <cmath>
#include <limits>

namespace alphaform::benchmarks {

namespace {

/// Where a number stands: u is uniform in [0, 1), `entry` its place along the last axis, which has `length` entries.
struct place final {
  double u;
  std::size_t entry, length;
};

/// b with softplus(b) = dt, dt log-uniform in [0.001, 0.1]. @see Gu and Dao 2023, Sec. 3.6
double step_bias(const place& p) {
  const double dt = 0.001 * std::pow(100, p.u);
  return dt + std::log(-std::expm1(-dt));
}
double log_of_number(const place& p) { return std::log(static_cast<double>(p.entry + 1)); }
double fraction(const place& p) {
  return static_cast<double>(p.entry) / static_cast<double>(std::max<std::size_t>(p.length - 1, 1));
}

struct usual_values final {
  std::string_view architecture;  ///< of all if empty
  std::string_view in_name;
  double (*of)(const place&);
};
/// The first row that fits is used.
constexpr usual_values usual[] = {
    {"", "l2_eps", [](const place&) { return 1e-6; }},
    {"", "l2_floor", [](const place&) { return 0.0; }},
    {"", "eps", [](const place&) { return 1e-5; }},
    {"", "norm.weight", [](const place&) { return 1.0; }},
    {"", "norm_f.weight", [](const place&) { return 1.0; }},
    {"", "ln_x.weight", [](const place&) { return 1.0; }},
    {"mamba", "A_log", log_of_number},
    {"mamba_core", "A_log", log_of_number},
    {"", "A_log", [](const place& p) { return std::log(1 + 15 * p.u); }},
    {"", "dt_proj.bias", step_bias},
    {"", "dt_bias", step_bias},
    {"", "dt_min", [](const place&) { return 0.0; }},
    {"", "dt_max", [](const place&) { return std::numeric_limits<double>::infinity(); }},
    {"griffin", "recurrent_param", [](const place& p) { return -6 + 3 * p.u; }},
    {"rg_lru", "log_a", [](const place& p) { return -1e-3 * std::pow(100, p.u); }},
    {"gla_core", "log_a", [](const place& p) { return -0.7 / 16 * (0.1 + p.u); }},
    {"ssd", "log_a", [](const place& p) { return -1e-3 * std::pow(1000, p.u); }},
    {"rwkv6_core", "log_a", [](const place& p) { return -std::exp(-6 + 5 * p.u); }},
    {"rwkv7_core", "log_a", [](const place& p) { return -0.6 * p.u; }},
    {"gated_delta_core", "log_a", [](const place& p) { return -1e-3 * std::pow(1000, p.u); }},
    {"retnet_core", "gamma", [](const place& p) { return 1 - std::exp2(-5 - static_cast<double>(p.entry)); }},
    {"hgrn_core", "f", [](const place& p) { return 0.9 + 0.1 * p.u; }},
    {"hgrn", "lower_bound", [](const place& p) { return 0.8 + 0.19 * p.u; }},
    {"gla", "gate_scale", [](const place&) { return 1.0 / 16; }},
    {"gla", "log_decay_min", [](const place&) { return -std::numeric_limits<double>::infinity(); }},
    {"retnet", "gamma", [](const place& p) { return 1 - std::exp2(-5 - static_cast<double>(p.entry)); }},
    {"retnet", "frequencies",
     [](const place& p) {
       const std::size_t half = std::max<std::size_t>(p.length / 2, 1);
       return std::pow(1e4, -static_cast<double>(p.entry % half) / static_cast<double>(half));
     }},
    {"rwkv6", "w", [](const place& p) { return -6 + 5 * p.u; }},
    {"rwkv7", "w", [](const place& p) { return -6 + 5 * p.u; }},
    {"gated_delta_net", "beta_max", [](const place&) { return 1.0; }},
    {"hyena", "pos_emb.t", fraction},
    {"hyena", "deltas", [](const place& p) { return 3 + 12 * fraction(p); }},
    {"hyena", "shift", [](const place&) { return 0.05; }},
    {"hyena", "freq", [](const place&) { return 10.0; }},
};
const usual_values* usual_of(std::string_view architecture, std::string_view name) {
  for (const usual_values& v : usual)
    if ((v.architecture.empty() || v.architecture == architecture) &&
        (v.in_name.size() == 1 ? name == v.in_name : name.find(v.in_name) != name.npos))
      return &v;
  return nullptr;
}

/// Uniform in [0, 1), a number for each count (splitmix64).
double uniform(std::uint64_t count) {
  std::uint64_t z = (count + 1) * 0x9e3779b97f4a7c15ull;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
  return static_cast<double>((z ^ (z >> 31)) >> 11) * 0x1p-53;
}

std::size_t divided(std::size_t n, std::size_t by, std::size_t least) { return std::min(n, std::max(n / by, least)); }

}  // namespace

problem_sizes reduced(problem_sizes s) {
  s.tokens = divided(s.tokens, 64, 24);
  s.channels = divided(s.channels, 64, 8);
  s.states = divided(s.states, 16, 4);
  s.ranks = divided(s.ranks, 16, 4);
  s.groups = divided(s.groups, 2, 1);
  s.heads = divided(s.heads, 8, 1);
  return s;
}

void fill(std::span<float> numbers, std::string_view architecture, std::string_view name, std::size_t fan_in,
          std::size_t last_extent) {
  const usual_values* own = usual_of(architecture, name);
  const double variance = fan_in == 0 ? 0.01 : 1 / static_cast<double>(fan_in), reach = std::sqrt(3 * variance);
  const std::uint64_t seed = std::hash<std::string_view>{}(name) << 20;
  constexpr std::size_t block = 1 << 16;
  parallel((numbers.size() + block - 1) / block, [&](std::size_t b) {
    for (std::size_t i = b * block; i < std::min(numbers.size(), (b + 1) * block); ++i) {
      const double u = uniform(seed + i);
      numbers[i] =
          static_cast<float>(own != nullptr ? own->of({u, i % last_extent, last_extent}) : reach * (2 * u - 1));
    }
  });
}

problem::problem(std::string_view architecture, const problem_sizes& sizes)
    : problem(find_architecture(architecture).attention, architecture, sizes) {}

problem::problem(const expr& attention, std::string_view name, const problem_sizes& sizes)
    : architecture_(name), sizes_(sizes) {
  const term_view y(attention);
  formula_ = formula_of(attention);
  at(env_.lengths, axis::group) = sizes.groups;
  at(env_.lengths, axis::head) = sizes.heads;
  for (const node_index i : parts_of(y)) {
    const node& n = y[i];
    if (n.is<terms::input>()) draw_input(n);
    if (n.is<terms::parameter>()) draw_parameter(n.id, {n.to - n.from, n.from});
  }
  // The axes of a matrix from a stream to itself are those of its Mix.
  for (const node_index i : parts_of(y)) {
    const node& n = y[i];
    if (n.is<terms::mix>() && n.from.touches(n.to) && y[n.a].is<terms::parameter>())
      draw_parameter(y[n.a].id, {y[n.a].to - (n.to | n.from), n.to, n.from});
  }
  env_ = placed_on(backend(), std::move(env_));
}

void problem::draw_input(const node& n) {
  extents size = single;
  at(size, axis::token) = sizes_.tokens;
  for (const axis_letter& l : axis_letters)
    if (n.to.contains(l.axis)) at(size, slot(l.axis)) = length(l.axis, n.id);
  std::vector<float> x(volume(size));
  fill(x, architecture_, n.id, 1, 1);
  env_.inputs[std::string(n.id)] = stored(x, size, backend(), format_of_inputs());
}

void problem::draw_parameter(std::string_view name, std::initializer_list<axes> sides) {
  std::vector<std::size_t> shape;
  std::size_t count = 1, columns = 1;
  for (const axes side : sides) {
    columns = 1;
    for (const axis_letter& l : axis_letters)
      if (side.contains(l.axis)) {
        shape.push_back(length(l.axis, name));
        columns *= shape.back();
      }
    count *= columns;
  }
  const std::size_t last = shape.empty() ? 1 : shape.back();
  const bool is_matrix = *std::prev(sides.end()) != no_axes, is_filter = sides.begin()->contains(tap);
  auto numbers = std::make_shared<std::vector<float>>(count);
  fill(*numbers, architecture_, name, is_matrix ? columns : is_filter ? last : 0, last);
  env_.parameters[std::string(name)] = {std::move(shape), numbers->data(), numbers};
}

std::size_t problem::length(axes one, std::string_view name) const {
  if (one == tap) return name.starts_with("pos_emb.") ? sizes_.tokens : sizes_.taps;  // a filter as long as the text
  return one == group   ? sizes_.groups
         : one == head  ? sizes_.heads
         : one == chan  ? sizes_.channels
         : one == state ? sizes_.states
         : one == rank  ? sizes_.ranks
                        : 2;
}

double problem::stream_bytes() const {
  double numbers = static_cast<double>(volume(attention().stream()));
  for (const auto& [name, x] : env_.inputs) numbers += static_cast<double>(volume(x.v.size));
  return numbers * static_cast<double>(size_of<float>(format_of_inputs()));
}

}  // namespace alphaform::benchmarks
