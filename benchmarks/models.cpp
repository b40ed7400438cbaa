// Whole Mamba models with random weights: forward, every logit, and the gradient of one logit of the last token with
// respect to what every mixer got.
#include <alphaform/backends/model/gradient.hpp>
#include <alphaform/benchmarks/cases.hpp>
#include <alphaform/benchmarks/random_model.hpp>

namespace alphaform::benchmarks {

namespace {

constexpr model_sizes sizes_130m{24, 768, 50280, 512}, sizes_130m_2048{24, 768, 50280, 2048},
    sizes_tiny{4, 64, 4096, 512};

struct loaded final {
  explicit loaded(const model_sizes& s) : random(s), gradient(random.of) {}
  random_model random;
  model_gradient<float> gradient;
};

/// Of the layers; a gradient passes through every product and recurrence twice.
needs needs_of(const model_sizes& s, bool gradient) {
  const auto T = static_cast<double>(s.tokens), W = static_cast<double>(s.width), C = static_cast<double>(s.channels()),
             N = static_cast<double>(model_sizes::states), R = static_cast<double>(s.ranks()),
             L = static_cast<double>(s.layers), V = static_cast<double>(s.vocabulary);
  const double weights = L * (3 * W * C + C * (2 * R + 2 * N)), layers = 2 * T * weights;
  return {.bytes = 4 * (weights + W * V),
          .exponentials = L * T * C * (N + 4),
          .flops = gradient ? 2 * layers : layers + 2 * T * W * V,
          .products = {s.tokens, 2 * s.channels(), s.width}};
}

struct model_row final {
  std::string_view name, what;
  model_sizes sizes;
  bool gradient;
  void (*run)(const loaded&);
};
constexpr std::string_view forward = "every logit", backward = "the gradient of one logit of the last token";
const model_row rows[] = {
    {"model/130m", forward, sizes_130m, false, [](const loaded& m) { m.random.of.run(m.random.text); }},
    {"model/130m-gradient", backward, sizes_130m, true,
     [](const loaded& m) { m.gradient.of_last_logit(m.random.text, 1); }},
    {"model/130m-2048", forward, sizes_130m_2048, false, [](const loaded& m) { m.random.of.run(m.random.text); }},
    {"model/130m-2048-gradient", backward, sizes_130m_2048, true,
     [](const loaded& m) { m.gradient.of_last_logit(m.random.text, 1); }},
    {"model/tiny", forward, sizes_tiny, false, [](const loaded& m) { m.random.of.run(m.random.text); }},
    {"model/tiny-gradient", backward, sizes_tiny, true,
     [](const loaded& m) { m.gradient.of_last_logit(m.random.text, 1); }}};

}  // namespace

std::vector<named_case> model_cases() {
  std::vector<named_case> all;
  for (const model_row& r : rows)
    all.push_back({std::string(r.name), std::string(r.what), [r](bool small) {
                     const model_sizes s = small ? reduced(r.sizes) : r.sizes;
                     const auto m = std::make_shared<loaded>(s);
                     return job{needs_of(s, r.gradient), [r, m] { r.run(*m); }};
                   }});
  return all;
}

}  // namespace alphaform::benchmarks
