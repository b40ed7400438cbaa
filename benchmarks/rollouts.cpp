// One row of attention rollout through all layers of a 130m-size Mamba, without a map.
#include <alphaform/backends/model/rollout.hpp>
#include <alphaform/benchmarks/cases.hpp>
#include <alphaform/benchmarks/random_model.hpp>

namespace alphaform::benchmarks {

namespace {

/// Forward, its products a second time for stretches that are computed again, and two scans a layer.
needs needs_of(const model_sizes& s) {
  const auto T = static_cast<double>(s.tokens), W = static_cast<double>(s.width), C = static_cast<double>(s.channels()),
             N = static_cast<double>(model_sizes::states), R = static_cast<double>(s.ranks()),
             L = static_cast<double>(s.layers);
  return {.exponentials = L * T * C * (N + 4) * 3,
          .flops = 2 * L * 2 * T * (3 * W * C + C * (2 * R + 2 * N)),
          .products = {512, 2 * s.channels(), s.width}};
}

named_case rollout_of(std::size_t tokens) {
  return {"rollout/" + std::to_string(tokens), "a row through 24 layers",
          [tokens](bool small) {
            model_sizes s{24, 768, 256, tokens};
            if (small) s = reduced(s);
            const auto m = std::make_shared<random_model>(s);
            return job{needs_of(s), [m] { rollout_row(m->of, m->ids); }};
          },
          true};
}

}  // namespace

std::vector<named_case> rollout_cases() {
  std::vector<named_case> all;
  for (const std::size_t tokens : std::initializer_list<std::size_t>{4096, 16384, 65536})
    all.push_back(rollout_of(tokens));
  return all;
}

}  // namespace alphaform::benchmarks
