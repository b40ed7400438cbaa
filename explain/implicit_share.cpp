#include <fmt/core.h>

#include <alphaform/backends/model/gradient.hpp>
#include <alphaform/explain/implicit_share.hpp>
#include <alphaform/explain/models_folder.hpp>
#include <cmath>
#include <random>

namespace alphaform {
namespace {

constexpr int directions = 4;

template <class T>
tensor<T> random_signs(const tensor<T>& like, unsigned seed, const kernels<T>& k) {
  std::vector<T> v(volume(like.v.size));
  std::mt19937 draw(seed);
  for (T& entry : v) entry = (draw() & 1u) != 0 ? T(1) : T(-1);
  return stored(v, like.v.size, k);
}

template <class T>
double dot(const tensor<T>& a, const tensor<T>& b) {
  const std::vector<T> p = numbers_of(a), q = numbers_of(b);
  double sum = 0;
  for (std::size_t i = 0; i < p.size(); ++i) sum += static_cast<double>(p[i]) * static_cast<double>(q[i]);
  return sum;
}

}  // namespace

template <class T>
std::vector<implicit_share> implicit_shares(const model<T>& m, std::span<const std::int64_t> ids) {
  const model_gradient<T> derivatives(m);
  const forward_pass<T> pass = m.run(ids, {.of = extent_of_run::logits::none});
  std::vector<implicit_share> shares;
  for (std::size_t layer = 0; layer < m.layers(); ++layer) {
    const tensor<T>& u = pass.mixer_in[layer];
    mixer_derivative<T> mixer = derivatives.mixer(layer, u, pass.shared);
    double both = 0, implicit = 0, all = 0;
    for (unsigned seed = 1; seed <= directions; ++seed) {
      const tensor<T> v = random_signs(u, seed, m.backend()), Jv = mixer.forward(v), Hv = mixer.implicit_forward(v);
      both += dot(Hv, Jv);
      implicit += dot(Hv, Hv);
      all += dot(Jv, Jv);
    }
    const auto ratio = [](double part, double whole) { return whole == 0 ? 0 : part / whole; };
    shares.push_back({ratio(both, all), ratio(both, std::sqrt(implicit) * std::sqrt(all))});
  }
  return shares;
}

std::vector<std::int64_t> recorded_ids(const checkpoint& record) {
  const stored_tensor& recorded = record.at("input_ids");
  std::vector<std::int64_t> ids = values<std::int64_t>(recorded);
  if (recorded.shape.empty() || recorded.shape.back() < 1 ||
      ids.size() < static_cast<std::size_t>(recorded.shape.back()))
    throw user_error("the record's 'input_ids' have no row of tokens: their shape should be [samples, tokens]");
  ids.resize(static_cast<std::size_t>(recorded.shape.back()));
  return ids;
}

std::optional<measured_share> share_on_golden(const architecture& a) try {
  const std::filesystem::path folder = models_folder() / "golden" / a.name;
  if (!exists(folder / "reference.safetensors")) return std::nullopt;
  const checkpoint file = checkpoint::open(folder), record = checkpoint::open(folder / "reference.safetensors");
  const model<double> m(file, reference_kernels());
  const std::vector<std::int64_t> ids = recorded_ids(record);
  measured_share mean{"", 0, 0};
  const std::vector<implicit_share> shares = implicit_shares(m, std::span<const std::int64_t>(ids));
  std::size_t counted = 0;
  for (std::size_t i = 0; i < m.layers(); ++i) {
    if (m.mixer_architecture(i).name != a.name) continue;
    ++counted;
    mean.carried += shares[i].carried;
    mean.cosine += shares[i].cosine;
  }
  if (counted == 0) return std::nullopt;
  mean.carried /= static_cast<double>(counted);
  mean.cosine /= static_cast<double>(counted);
  mean.where =
      fmt::format("the golden {} model ({} such layers, recorded text of {} tokens)", a.title, counted, ids.size());
  return mean;
} catch (const user_error&) {  // a term without a derivative
  return std::nullopt;
}

template std::vector<implicit_share> implicit_shares(const model<float>&, std::span<const std::int64_t>);
template std::vector<implicit_share> implicit_shares(const model<double>&, std::span<const std::int64_t>);

}  // namespace alphaform
