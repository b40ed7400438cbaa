// Classifiers of images against what others computed: Vim's record (models/vim) and, for the classifier that reads a
// pixel a step, a forward pass in NumPy from its description.
#include <doctest/doctest.h>

#include <algorithm>
#include <alphaform/architectures/images/image_input.hpp>
#include <alphaform/explain/verify.hpp>
#include <cmath>

#include "../recorded_images.hpp"
#include "../shared_data.hpp"
#include "../temporary_folder.hpp"
#include "safetensors_image.hpp"

namespace alphaform {
namespace {

using test::recorded_images;

const std::filesystem::path vim = ALPHAFORM_SOURCE_DIR "/models/vim";

template <class T>
std::vector<T> scores(const model<T>& m, const std::vector<float>& values) {
  const forward_pass<T> pass =
      m.run(stream_of(std::span(values), values.size() / m.features(), m.features(), m.backend()));
  REQUIRE(pass.logits.v.of(axis::token) == 1);
  return {pass.logits.v.data, pass.logits.v.data + pass.logits.v.of(axis::chan)};
}

template <class T>
void check_record(const kernels<T>& backend) {
  const model<T> m(checkpoint::open(vim), backend);
  const std::vector<check> checks = record_checks(m, checkpoint::open(vim / "reference.safetensors"));
  CHECK(checks.size() == 1 + 3 * 5);
  for (const check& c : checks) {
    INFO(c.name, " differs by ", c.max_abs, " of ", c.scale);
    CHECK(c.scale > 0);
    CHECK(c.tolerance <= 2e-5);
    CHECK(c.pass);
  }
}

TEST_CASE("Vim's logits and mixers are those of its record in float32 and double") {
  check_record(cpu_kernels());
  check_record(reference_kernels());
}

TEST_CASE("Vim's logits from an image file's bytes are the record's number by number") {
  const recorded_images recorded;
  const std::vector<float> logits = values<float>(recorded.record.at("logits"));
  const std::vector<std::int64_t> predicted = values<std::int64_t>(recorded.record.at("predicted"));
  const checkpoint file = checkpoint::open(vim);
  const model<float> m(file, cpu_kernels());
  CHECK(m.features() == 16);
  CHECK(m.class_token(50) == 24U);
  const image_input as = image_input_of(file, m.features());
  const std::string idx = recorded.images_idx();
  const images all = parse_images(test::bytes_of(idx), "images");
  for (std::size_t b = 0; b < all.count; ++b) {
    const std::vector<float> found = scores(m, values_of(as, all, b));
    REQUIRE(found.size() == 10);
    for (std::size_t k = 0; k < 10; ++k) CHECK(std::abs(found[k] - logits[10 * b + k]) <= 1e-4F);  // |logits| < 5
    CHECK(std::max_element(found.begin(), found.end()) - found.begin() == predicted[b]);
  }
}

TEST_CASE("one damaged patch weight makes the logits of the record fail and nothing else") {
  const test::temporary_folder folder;
  std::filesystem::copy_file(vim / "config.json", folder.path() / "config.json");
  test::safetensors_image image(vim / "model.safetensors");
  const float weight = image.number("patch_embed.proj.weight", 100);
  REQUIRE(std::abs(weight) > 1e-3F);
  image.set("patch_embed.proj.weight", 100, -weight);
  folder.write("model.safetensors", image.bytes());
  const model<float> m(checkpoint::open(folder.path()), cpu_kernels());
  for (const check& c : record_checks(m, checkpoint::open(vim / "reference.safetensors"))) {
    INFO(c.name);
    CHECK(c.pass == (c.name != "logits"));
  }
}

TEST_CASE("a record of another kind or shape is refused") {
  const model<float> images_model(checkpoint::open(vim), cpu_kernels());
  const checkpoint of_text = checkpoint::open(ALPHAFORM_SOURCE_DIR "/models/golden/mamba/reference.safetensors");
  test::check_refused([&] { record_checks(images_model, of_text); }, {"pixel_values"});
  const auto with_shape = [&](const nlohmann::json& shape, std::string_view word) {
    const test::temporary_folder folder;
    test::safetensors_image image(vim / "reference.safetensors");
    image.header["pixel_values"]["shape"] = shape;
    folder.write("record.safetensors", image.bytes());
    const checkpoint record = checkpoint::open(folder.path() / "record.safetensors");
    test::check_refused([&] { record_checks(images_model, record); }, {word});
  };
  with_shape({32, 784}, "4 dimensions");
  with_shape({32, 1, 14, 56}, "14 x 56");     // 14 is no multiple of 4
  with_shape({16, 1, 28, 56}, "do not fit");  // 16 samples, 32 rows of logits
  with_shape({32, 1, 784, 1}, "no square patches");
}

TEST_CASE("the scores of the first MNIST image are those of a forward pass in NumPy") {
  SKIP_WITHOUT_SHARED("models/mamba-mnist");
  SKIP_WITHOUT_SHARED("data/mnist");
  const checkpoint file = checkpoint::open(*test::shared("models/mamba-mnist"));
  const images all = read_images(*test::shared("data/mnist") / "t10k-images-idx3-ubyte.gz");
  CHECK(all.count == 10000);
  CHECK(all.shape == image_shape{1, 28, 28});
  // In float32, one token after the other: x = W u + b, two mixers, mean, LayerNorm, classifier.
  constexpr float numpy[] = {1.2012744F,   1.122818F,   1.8152815F, 4.320853F,   -9.815939F,
                             -0.45207086F, -11.315567F, 11.359178F, -2.3492005F, 0.39625353F};
  const auto check_scores = [&](const auto& m) {
    CHECK(m.features() == 1);
    const auto found = scores(m, values_of(image_input_of(file, 1), all, 0));
    REQUIRE(found.size() == 10);
    for (std::size_t k = 0; k < 10; ++k)
      CHECK(std::abs(static_cast<double>(found[k]) - static_cast<double>(numpy[k])) <= 5e-4);  // 784 steps in float32
  };
  check_scores(model<float>(file, cpu_kernels()));
  check_scores(model<double>(file, reference_kernels()));
}

TEST_CASE("the soft cap of a family's vocabulary is not applied to the scores of a classifier") {
  SKIP_WITHOUT_SHARED("models/tiny/griffin");
  const std::filesystem::path folder = *test::shared("models/tiny/griffin");
  const model<float> m(checkpoint::open(folder), cpu_kernels());
  const std::vector<check> checks = record_checks(m, checkpoint::open(folder / "reference.safetensors"));
  REQUIRE(checks[0].name == "logits");
  CHECK(checks[0].max_abs <= 2e-5 * checks[0].scale);  // with the cap of 30 it is 3e-3 of the scale
}

}  // namespace
}  // namespace alphaform
