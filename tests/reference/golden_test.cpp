// Trained models against what their own implementations computed (transformers, flash-linear-attention and rwkv.cpp,
// all in float32): logits, mixers, decoding, and that a damaged weight is noticed.
#include <doctest/doctest.h>

#include <algorithm>
#include <alphaform/architectures/registry.hpp>
#include <alphaform/backends/model/state_file.hpp>
#include <alphaform/explain/printed_miss.hpp>
#include <alphaform/explain/verify.hpp>
#include <cmath>

#include "../devices.hpp"
#include "../shared_data.hpp"
#include "../temporary_folder.hpp"
#include "goldens.hpp"
#include "safetensors_image.hpp"

namespace alphaform {
namespace {

using test::shared;

const std::filesystem::path golden = test::golden_folder;
using test::goldens;
constexpr const char* reference_file = "reference.safetensors";

template <class T>
std::vector<check> recorded(const std::filesystem::path& folder, const kernels<T>& backend) {
  return record_checks(model<T>(checkpoint::open(folder), backend), checkpoint::open(folder / reference_file));
}

/// All checks pass: logits once, and mixer, identity and identity by rows for each layer.
template <class T>
void check_record(const std::filesystem::path& folder, const kernels<T>& backend) {
  CAPTURE(folder.string());
  const model<T> m(checkpoint::open(folder), backend);
  const std::vector<check> checks = record_checks(m, checkpoint::open(folder / reference_file));
  CHECK(checks.size() >= 1 + 3 * m.layers());
  for (const check& c : checks) {
    INFO(c.name, " differs by ", c.max_abs, " of ", c.scale);
    CHECK(c.skipped.empty());
    CHECK(c.scale > 0);
    CHECK(c.tolerance <= 2e-5);
    CHECK(c.pass);
  }
}

/// max |a - b| over all logits of a pass and the numbers from `first` on.
template <class T>
double largest_difference(const tensor<T>& found, std::span<const float> expected) {
  const tensor<T> logits = on_host(found);
  const std::size_t outputs = logits.v.of(axis::chan);
  REQUIRE(expected.size() == logits.v.of(axis::token) * outputs);
  double worst = 0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const double difference = std::abs(static_cast<double>(logits.v.data[i]) - static_cast<double>(expected[i]));
    if (!(difference <= worst)) worst = std::isnan(difference) ? HUGE_VAL : difference;
  }
  return worst;
}
double largest(std::span<const float> numbers) {
  double most = 0;
  for (const float v : numbers) most = std::max(most, std::abs(static_cast<double>(v)));
  return most;
}

/// The logits of every token, fed one by one.
template <class T>
std::vector<float> decoded(const model<T>& m, std::span<const std::int64_t> ids) {
  decoding_state<T> state;
  std::vector<float> logits;
  for (const std::int64_t& id : ids) {
    const forward_pass<T> pass = m.run(std::span(&id, 1), state);
    for (const T v : numbers_of(pass.logits)) logits.push_back(static_cast<float>(v));
  }
  return logits;
}

ON_EVERY_DEVICE("golden models in float32 and double are what other implementations recorded") {
  USE_DEVICE();
  for (const char* name : goldens) {
    check_record(golden / name, Device::all());
    if (test::tests_cpu()) check_record(golden / name, reference_kernels());
  }
}

// float32 on both sides, some hundred roundings of 6e-8 through two layers.
constexpr double in_float = 2e-5;

ON_EVERY_DEVICE("the logits of the second sample are those of the record number by number") {
  USE_DEVICE();
  for (const char* name : goldens) {
    CAPTURE(name);
    const checkpoint record = checkpoint::open(golden / name / reference_file);
    const std::vector<std::int64_t> ids = values<std::int64_t>(record.at("input_ids"));
    const std::vector<float> logits = values<float>(record.at("logits"));
    REQUIRE(ids.size() == 96);
    REQUIRE(logits.size() == 96 * 256);
    const std::span<const float> second = std::span(logits).subspan(48 * 256);
    const model<float> m(checkpoint::open(golden / name), Device::all());
    const forward_pass<float> pass = m.run(std::span(ids).subspan(48));
    CHECK(largest(second) > 1);
    CHECK(largest_difference(pass.logits, second) <= in_float * largest(second));
  }
}

ON_EVERY_DEVICE("decoding token by token is the sequence form") {
  USE_DEVICE();
  for (const char* name : goldens) {
    CAPTURE(name);
    const checkpoint record = checkpoint::open(golden / name / reference_file);
    const std::vector<std::int64_t> ids = values<std::int64_t>(record.at("input_ids"));
    const std::span<const std::int64_t> first = std::span(ids).first(48);
    const model<float> m(checkpoint::open(golden / name), Device::all());
    const std::vector<float> stepwise = decoded(m, first);
    CHECK(largest_difference(m.run(first).logits, stepwise) <= 1e-5 * largest(stepwise));
    // Stretches of unequal length carry the same state.
    decoding_state<float> state;
    m.run(first.first(1), state);
    m.run(first.subspan(1, 30), state);
    const forward_pass<float> rest = m.run(first.subspan(31), state);
    CHECK(largest_difference(rest.logits, std::span(stepwise).subspan(31 * 256)) <= 1e-5 * largest(stepwise));
  }
}

TEST_CASE("Mamba's Eq. 9 as printed misses by more than 1e-3") {
  const std::optional<measured_miss> miss = printed_miss(find_architecture("mamba"));
  REQUIRE(miss);
  CHECK(miss->miss > 1e-3);
}

TEST_CASE("one damaged weight makes the checks of the record fail and those of the identity pass") {
  struct damage final {
    const char *model, *tensor;
  };
  for (const damage& d : {damage{"mamba", "backbone.layers.1.mixer.out_proj.weight"},
                          damage{"rwkv4", "rwkv.blocks.1.attention.output.weight"}}) {
    CAPTURE(d.tensor);
    const test::temporary_folder folder;
    for (const char* file : {"config.json", reference_file})
      std::filesystem::copy_file(golden / d.model / file, folder.path() / file);
    test::safetensors_image image(golden / d.model / "model.safetensors");
    const float weight = image.number(d.tensor, 100);
    REQUIRE(std::abs(weight) > 1e-3F);
    image.set(d.tensor, 100, -weight);
    folder.write("model.safetensors", image.bytes());
    for (const check& c : recorded(folder.path(), cpu_kernels())) {
      const bool touched = c.name == "logits" || c.name == "mixer_out.1";
      INFO(c.name);
      CHECK(c.pass == !touched);
    }
  }
}

/// A safetensors file without one of its tensors.
std::string bytes_without(const checkpoint& file, std::string_view name) {
  std::vector<stored_tensor> rest;
  for (const stored_tensor& t : file.tensors())
    if (t.name != name) rest.push_back(t);
  REQUIRE(rest.size() + 1 == file.tensors().size());
  std::string bytes;
  write_safetensors(rest, {}, [&](std::span<const std::byte> more) {
    bytes.append(reinterpret_cast<const char*>(more.data()), more.size());
  });
  return bytes;
}

TEST_CASE("a filter or a bias that is missing beside its kin is refused") {
  struct missing final {
    const char *model, *tensor;
  };
  for (const missing& m : {missing{"gated_delta_net", "model.layers.1.attn.k_conv1d.weight"},
                           missing{"delta_net", "model.layers.0.attn.v_conv1d.weight"},
                           missing{"kda", "model.layers.1.attn.q_conv1d.weight"},
                           missing{"mamba2", "backbone.layers.0.mixer.conv1d.bias"}}) {
    CAPTURE(m.tensor);
    const test::temporary_folder folder;
    std::filesystem::copy_file(golden / m.model / "config.json", folder.path() / "config.json");
    folder.write("model.safetensors", bytes_without(checkpoint::open(golden / m.model), m.tensor));
    CHECK_THROWS_AS(model<float>(checkpoint::open(folder.path()), cpu_kernels()), user_error);
  }
}

TEST_CASE("a state that was saved continues a text where it was left, and no other model") {
  for (const char* name : goldens) {
    CAPTURE(name);
    const model<float> m(checkpoint::open(golden / name), cpu_kernels());
    const checkpoint record = checkpoint::open(golden / name / reference_file);
    const std::vector<std::int64_t> ids = values<std::int64_t>(record.at("input_ids"));
    decoding_state<float> state;
    m.run(std::span(ids).first(20), state);
    const test::temporary_folder folder;
    std::string bytes;
    save_state(state, m, [&](std::span<const std::byte> more) {
      bytes.append(reinterpret_cast<const char*>(more.data()), more.size());
    });
    folder.write("state.safetensors", bytes);
    const checkpoint saved = checkpoint::open(folder.path() / "state.safetensors");
    decoding_state<float> again = restored_state(saved, m);
    const forward_pass<float> went_on = m.run(std::span(ids).subspan(20, 9), state),
                              restored = m.run(std::span(ids).subspan(20, 9), again);
    CHECK(largest_difference(restored.logits, std::span<const float>(went_on.logits.v.data, 9 * 256)) == 0);
    CHECK_THROWS_AS(restored_state(checkpoint::open(golden / name / "model.safetensors"), m), user_error);
    folder.write("part.safetensors", bytes_without(saved, saved.tensors().back().name));
    CHECK_THROWS_AS(restored_state(checkpoint::open(folder.path() / "part.safetensors"), m), user_error);
  }
  const model<float> small(checkpoint::open(golden / "mamba"), cpu_kernels()),
      other(checkpoint::open(golden / "griffin"), cpu_kernels());
  decoding_state<float> state;
  const std::int64_t id = 1;
  small.run(std::span(&id, 1), state);
  CHECK_THROWS_AS(other.run(std::span(&id, 1), state), user_error);
}

TEST_CASE("samples are independent: each gives the same numbers whatever was run before it") {
  for (const char* name : goldens) {
    CAPTURE(name);
    const model<float> m(checkpoint::open(golden / name), cpu_kernels());
    const checkpoint record = checkpoint::open(golden / name / reference_file);
    const std::vector<std::int64_t> ids = values<std::int64_t>(record.at("input_ids"));
    const std::span<const std::int64_t> a = std::span(ids).first(48), b = std::span(ids).subspan(48);
    const forward_pass<float> first = m.run(a), second = m.run(b), second_alone = m.run(b), first_again = m.run(a);
    CHECK(largest_difference(first_again.logits, std::span<const float>(first.logits.v.data, 48 * 256)) == 0);
    CHECK(largest_difference(second_alone.logits, std::span<const float>(second.logits.v.data, 48 * 256)) == 0);
  }
}

TEST_CASE("tiny classifiers in float32 and double are what their own implementations recorded") {
  for (const char* name : {"mamba", "mamba2", "griffin", "rwkv4", "hgrn", "retnet", "gla", "llama"}) {
    SKIP_WITHOUT_SHARED(std::string("models/tiny/") + name);
    const std::filesystem::path folder = *shared("models/tiny") / name;
    check_record(folder, cpu_kernels());
    if (name == std::string("griffin") || name == std::string("gla")) check_record(folder, reference_kernels());
  }
}

TEST_CASE("rwkv.cpp's models of RWKV-4, 5 and 7 give the logits that its own tests expect") {
  SKIP_WITHOUT_SHARED("models/rwkv.cpp");
  const std::filesystem::path folder = *shared("models/rwkv.cpp");
  for (const char* version : {"4v0-660K", "5v2-730K", "7v0-834K"}) {
    CAPTURE(version);
    std::ifstream in(folder / (std::string("expected-logits-") + version + ".bin"), std::ios::binary);
    std::vector<float> expected(256);
    in.read(reinterpret_cast<char*>(expected.data()), 1024);
    REQUIRE(in.gcount() == 1024);
    const std::vector<std::int64_t> ids{'"', 'i', 'n'};  // the prompt of rwkv.cpp's tests/test_tiny_rwkv.c
    const model<float> m(checkpoint::open(folder / (std::string("tiny-rwkv-") + version + "-FP32.bin")), cpu_kernels());
    const forward_pass<float> pass = m.run(std::span<const std::int64_t>(ids));
    CHECK(largest_difference(pass.logits.slice(axis::token, 2, 3), expected) <= 1e-5);
    const std::vector<float> stepwise = decoded(m, std::span<const std::int64_t>(ids));
    for (std::size_t v = 0; v < 256; ++v) CHECK(std::abs(stepwise[2 * 256 + v] - expected[v]) <= 1e-5F);
  }
}

TEST_CASE("the RWKV-7 model that reverses numbers does so on all samples, from safetensors and from .pth") {
  SKIP_WITHOUT_SHARED("models/rwkv7-reverse");
  const std::filesystem::path folder = *shared("models/rwkv7-reverse");
  std::ifstream in(folder / "reference.json");
  const nlohmann::json reference = nlohmann::json::parse(in);
  for (const char* file : {"model.safetensors", "260123_reverse_L2_only_rwkv7.pth"}) {
    CAPTURE(file);
    const model<float> m(checkpoint::open(folder / file), cpu_kernels());
    std::size_t right = 0;
    double worst = 0, scale = 0;
    for (const nlohmann::json& sample : reference["samples"]) {
      const auto ids = sample["input_ids"].get<std::vector<std::int64_t>>();
      const auto expected = sample["expected_ids"].get<std::vector<std::int64_t>>();
      decoding_state<float> state;
      forward_pass<float> pass = m.run(std::span<const std::int64_t>(ids), state);
      std::vector<std::int64_t> made;
      for (std::size_t k = 0; k < expected.size(); ++k) {
        const tensor<float> last =
            pass.logits.slice(axis::token, pass.logits.v.of(axis::token) - 1, pass.logits.v.of(axis::token));
        if (sample.contains("logits"))
          for (std::size_t v = 0; v < 12; ++v) {
            const double recorded = sample["logits"][k][v];
            worst = std::max(worst, std::abs(static_cast<double>(last.v.data[v]) - recorded));
            scale = std::max(scale, std::abs(recorded));
          }
        made.push_back(std::max_element(last.v.data, last.v.data + 12) - last.v.data);
        pass = m.run(std::span(made).last(1), state);
      }
      right += made == expected ? 1 : 0;
    }
    CHECK(reference["samples"].size() == 30);
    CHECK(right == reference["samples"].size());
    CHECK(worst <= in_float * scale);
  }
}

}  // namespace
}  // namespace alphaform
