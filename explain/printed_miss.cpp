#include <fmt/core.h>

#include <alphaform/backends/model/model.hpp>
#include <alphaform/explain/models_folder.hpp>
#include <alphaform/explain/printed_miss.hpp>
#include <cmath>

namespace alphaform {

std::optional<measured_miss> printed_miss(const architecture& a) {
  const std::filesystem::path folder = models_folder() / "golden" / a.name;
  if (a.printed.H.root == absent || !exists(folder / "reference.safetensors")) return std::nullopt;
  const checkpoint file = checkpoint::open(folder), record = checkpoint::open(folder / "reference.safetensors");
  const model<double> m(file, reference_kernels());
  const bound_formula printed = formula_of(a.attention, a.printed.H);
  double miss = 0, scale = 0;
  std::vector<shared_streams<double>> first;  // of each sample
  for (std::size_t i = 0; i < m.layers(); ++i) {
    if (m.mixer_architecture(i).name != a.name) continue;
    const stored_tensor& in = record.at(fmt::format("mixer_in.{}", i));
    const std::vector<float> numbers = values<float>(in);
    const auto tokens = static_cast<std::size_t>(in.shape.at(1));
    const std::size_t sample = tokens * m.width();
    for (std::size_t b = 0; b + sample <= numbers.size(); b += sample) {
      auto attention = m.attention(i, m.stream(std::span(numbers).subspan(b, sample), tokens), printed);
      const std::vector<double> y = numbers_of(attention.output()), hx = numbers_of(attention.apply(attention.x()));
      for (std::size_t k = 0; k < y.size(); ++k) {
        miss = std::max(miss, std::abs(hx[k] - y[k]));
        scale = std::max(scale, std::abs(y[k]));
      }
    }
  }
  return measured_miss{fmt::format("the golden {} model ({} layers, recorded inputs)", a.title, m.layers()),
                       miss / scale};
}

}  // namespace alphaform
