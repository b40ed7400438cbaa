// Gradients of trained models against what PyTorch's backward pass recorded through their own implementations
// (transformers and flash-linear-attention, float32): the score is the target's logit at the last token, its gradient
// is taken with respect to what each layer's mixer got.
#include <doctest/doctest.h>

#include <alphaform/architectures/checkpoint/safetensors_writer.hpp>
#include <alphaform/backends/model/gradient.hpp>
#include <cmath>
#include <filesystem>
#include <limits>

#include "../devices.hpp"
#include "../temporary_folder.hpp"
#include "goldens.hpp"

namespace alphaform {
namespace {

const std::filesystem::path golden = test::golden_folder;
using test::goldens;

/// max |a - b| / max |b|
template <class T>
double relative_miss(const tensor<T>& found, std::span<const float> b) {
  const tensor<T> a = on_host(found);
  REQUIRE(volume(a.v.size) == b.size());
  double most = 0, scale = 0;
  for (std::size_t k = 0; k < b.size(); ++k) {
    const double difference = std::abs(static_cast<double>(a.v.data[k]) - static_cast<double>(b[k]));
    most = std::max(most, std::isnan(difference) ? HUGE_VAL : difference);
    scale = std::max(scale, std::abs(static_cast<double>(b[k])));
  }
  REQUIRE(scale > 0);
  return most / scale;
}

template <class T>
void check_gradients(const std::string& name, const kernels<T>& backend) {
  CAPTURE(name);
  CAPTURE(backend.name);
  const checkpoint record = checkpoint::open(golden / name / "reference.safetensors");
  if (record.find("grad_mixer_in.0") == nullptr) return;  // three records have none
  const std::vector<std::int64_t> ids = values<std::int64_t>(record.at("input_ids")),
                                  target = values<std::int64_t>(record.at("target"));
  const std::size_t samples = target.size(), tokens = ids.size() / samples;
  const model<T> m(checkpoint::open(golden / name), backend);
  const model_gradient<T> gradient(m);
  double worst = 0, score = 0;
  for (std::size_t b = 0; b < samples; ++b) {
    const std::span<const std::int64_t> text = std::span(ids).subspan(b * tokens, tokens);
    const auto output = static_cast<std::size_t>(target[b]);
    score += static_cast<double>(numbers_of(m.run(text).logits)[(tokens - 1) * m.vocabulary() + output]);
    const gradients<T> found = gradient.of_last_logit(text, output);
    REQUIRE(found.mixer_in.size() == m.layers());
    for (std::size_t i = 0; i < m.layers(); ++i) {
      const std::vector<float> recorded = values<float>(record.at("grad_mixer_in." + std::to_string(i)));
      const std::size_t entries = tokens * m.width();
      worst = std::max(worst, relative_miss(found.mixer_in[i], std::span(recorded).subspan(b * entries, entries)));
    }
  }
  MESSAGE(name << " on " << std::string(backend.name) << ": gradients differ by " << worst << " of their scale");
  CHECK(worst <= 1e-4);  // float32 on both sides, backwards through two layers
  CHECK(std::abs(score - static_cast<double>(values<float>(record.at("score"))[0])) <= 1e-4 * std::abs(score));
}

ON_EVERY_DEVICE("gradients of the score with respect to every mixer's input are those that were recorded") {
  USE_DEVICE();
  for (const char* name : goldens) {
    if (test::tests_cpu()) check_gradients(name, reference_kernels());
    check_gradients(name, Device::all());
  }
}

// ---- Without a record: the same number by the model itself, moved

TEST_CASE("the gradient of a model whose layers share a stream is the central difference of its score") {
  const model<double> m(checkpoint::open(golden / "rwkv7"), reference_kernels());
  const model_gradient<double> gradient(m);
  const checkpoint record = checkpoint::open(golden / "rwkv7" / "reference.safetensors");
  const std::vector<std::int64_t> ids = values<std::int64_t>(record.at("input_ids"));
  const std::span<const std::int64_t> text = std::span(ids).first(12);
  const gradients<double> found = gradient.of_last_logit(text, 7);
  // Moving what the first mixer got, by way of its own layer and of the later one that reads its values.
  const forward_pass<double> pass = m.run(text);
  const auto later = [&](double by) {
    tensor<double> u = arena<double>(reference_kernels()).make(pass.mixer_in[0].v.size);
    for (std::size_t k = 0; k < volume(u.v.size); ++k)
      u.v.data[k] = pass.mixer_in[0].v.data[k] + by * std::sin(1.0 + static_cast<double>(k));
    return m.mixer(1, pass.mixer_in[1], m.shared(u));
  };
  const double step = 1e-4;
  const tensor<double> ahead = later(step), behind = later(-step);
  double expected = 0, own = 0, through = 0;
  for (std::size_t k = 0; k < volume(ahead.v.size); ++k)
    expected += found.mixer_out[1].v.data[k] * (ahead.v.data[k] - behind.v.data[k]) / (2 * step);
  mixer_derivative<double> first = gradient.mixer(0, pass.mixer_in[0]);
  const tensor<double> alone = first.backward(found.mixer_out[0]);
  for (std::size_t k = 0; k < volume(alone.v.size); ++k) {
    const double v = std::sin(1.0 + static_cast<double>(k));
    own += alone.v.data[k] * v;
    through += found.mixer_in[0].v.data[k] * v;
  }
  CHECK(std::abs(expected) > 1e-9);
  CHECK(std::abs(through - own - expected) <= 1e-6 * std::abs(expected));
}

TEST_CASE("gradients are the same bit for bit whether layers are kept or built again") {
  for (const char* name : {"mamba", "rwkv7", "griffin"}) {
    CAPTURE(name);
    const model<float> m(checkpoint::open(golden / name), cpu_kernels());
    const checkpoint record = checkpoint::open(golden / name / "reference.safetensors");
    const std::vector<std::int64_t> ids = values<std::int64_t>(record.at("input_ids"));
    const std::span<const std::int64_t> text = std::span(ids).first(32);
    model_gradient<float> kept(m), built_again(m);
    kept.use_at_most(std::numeric_limits<std::size_t>::max());
    built_again.use_at_most(0);
    const gradients<float> a = kept.of_last_logit(text, 3), b = built_again.of_last_logit(text, 3);
    const auto same = [](const tensor<float>& x, const tensor<float>& y) {
      return std::equal(x.v.data, x.v.data + volume(x.v.size), y.v.data);
    };
    CHECK(same(a.embedded, b.embedded));
    for (std::size_t i = 0; i < m.layers(); ++i) {
      CHECK(same(a.mixer_in[i], b.mixer_in[i]));
      CHECK(same(a.mixer_out[i], b.mixer_out[i]));
    }
  }
}

TEST_CASE("a model with a block of another width than its stream is refused before it runs") {
  const checkpoint file = checkpoint::open(golden / "mamba");
  const test::temporary_folder folder;
  std::filesystem::copy_file(golden / "mamba" / "config.json", folder.path() / "config.json");
  std::vector<stored_tensor> tensors(file.tensors().begin(), file.tensors().end());
  bool found = false;
  for (stored_tensor& t : tensors)
    if (t.name == "backbone.layers.1.mixer.out_proj.weight") {
      t.bytes = t.bytes.first(t.bytes.size() - t.bytes.size() / static_cast<std::size_t>(t.shape[0]));
      --t.shape[0];
      found = true;
    }
  REQUIRE(found);
  std::string bytes;
  write_safetensors(tensors, {}, [&](std::span<const std::byte> more) {
    bytes.append(reinterpret_cast<const char*>(more.data()), more.size());
  });
  folder.write("model.safetensors", bytes);
  CHECK_THROWS_WITH_AS(model<float>(checkpoint::open(folder.path()), cpu_kernels()), doctest::Contains("width"),
                       user_error);
}

TEST_CASE("the gradient of one logit is that of all logits of which the others do not count") {
  const model<double> m(checkpoint::open(golden / "mamba"), reference_kernels());
  const model_gradient<double> gradient(m);
  const checkpoint record = checkpoint::open(golden / "mamba" / "reference.safetensors");
  const std::vector<std::int64_t> ids = values<std::int64_t>(record.at("input_ids"));
  const std::span<const std::int64_t> text = std::span(ids).first(20);
  const tensor<double> g = arena<double>(reference_kernels()).filled(stream_extents(20, m.vocabulary()), 0);
  g.v.data[19 * m.vocabulary() + 5] = 1;
  const gradients<double> one = gradient.of_last_logit(text, 5), all = gradient.of_logits(text, g);
  for (std::size_t i = 0; i < m.layers(); ++i)
    for (std::size_t k = 0; k < volume(one.mixer_in[i].v.size); ++k)
      CHECK(one.mixer_in[i].v.data[k] == doctest::Approx(all.mixer_in[i].v.data[k]).epsilon(1e-12));
}

/// J of a mixer on one text, beside central differences.
TEST_CASE("a whole mixer's derivative is the central difference of its output, and its transpose passes the dot test") {
  for (const char* name : goldens) {
    CAPTURE(name);
    const model<double> m(checkpoint::open(golden / name), reference_kernels());
    const model_gradient<double> gradient(m);
    const checkpoint record = checkpoint::open(golden / name / "reference.safetensors");
    const std::vector<std::int64_t> ids = values<std::int64_t>(record.at("input_ids"));
    const forward_pass<double> pass = m.run(std::span(ids).first(48));
    for (std::size_t layer = 0; layer < m.layers(); ++layer) {
      const tensor<double>& u = pass.mixer_in[layer];
      const std::size_t entries = volume(u.v.size);
      std::vector<float> some(entries), other(entries);
      for (std::size_t k = 0; k < entries; ++k) {
        some[k] = static_cast<float>(std::sin(1.0 + 3.7 * static_cast<double>(k)));
        other[k] = static_cast<float>(std::cos(2.0 + 1.9 * static_cast<double>(k)));
      }
      const tensor<double> v = m.stream(some, 48), g = m.stream(other, 48);
      const double step = 1e-4;
      const auto moved = [&](double by) {
        const tensor<double> there = arena<double>(reference_kernels()).make(u.v.size);
        for (std::size_t k = 0; k < entries; ++k) there.v.data[k] = u.v.data[k] + by * v.v.data[k];
        return m.mixer(layer, there, pass.shared);
      };
      mixer_derivative<double> d = gradient.mixer(layer, u, pass.shared);
      const tensor<double> ahead = moved(step), behind = moved(-step), forward = d.forward(v), back = d.backward(g);
      double miss = 0, scale = 0, left = 0, right = 0, size = 0;
      for (std::size_t k = 0; k < entries; ++k) {
        const double difference = (ahead.v.data[k] - behind.v.data[k]) / (2 * step);
        miss = std::max(miss, std::abs(forward.v.data[k] - difference));
        scale = std::max(scale, std::abs(difference));
        left += g.v.data[k] * forward.v.data[k];
        right += back.v.data[k] * v.v.data[k];
        size += std::abs(g.v.data[k] * forward.v.data[k]);
      }
      CHECK(miss <= 1e-6 * scale);
      CHECK(std::abs(left - right) <= 1e-12 * size);
    }
  }
}

}  // namespace
}  // namespace alphaform
