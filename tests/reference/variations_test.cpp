// Forms of the loadable models that the trained ones do not have: other sizes, filters, biases, gates, shared heads and
// tensors. The records come from an independent NumPy implementation in double (models/variations/README.md).
#include <doctest/doctest.h>

#include <alphaform/backends/model/model.hpp>
#include <alphaform/explain/verify.hpp>
#include <set>

#include "../temporary_folder.hpp"
#include "safetensors_image.hpp"

namespace alphaform {
namespace {

namespace fs = std::filesystem;
const fs::path variations = ALPHAFORM_SOURCE_DIR "/models/variations";

/// Logits, and for every layer the mixer's output, the identity and the identity by rows, relative to the largest
/// number.
template <class T>
void check_record(const fs::path& folder, const kernels<T>& backend, double bound) {
  const model<T> m(checkpoint::open(folder), backend);
  const std::vector<check> checks = record_checks(m, checkpoint::open(folder / "reference.safetensors"));
  CHECK(checks.size() >= 1 + 3 * m.layers());
  for (const check& c : checks) {
    INFO(c.name, " differs by ", c.max_abs, " of ", c.scale);
    CHECK(c.skipped.empty());
    CHECK(c.scale > 0);
    CHECK(c.max_abs <= bound * c.scale);
  }
}

TEST_CASE("models of other forms are what an independent implementation computes") {
  std::set<std::string> types;
  std::size_t models = 0;
  for (const fs::directory_entry& entry : fs::directory_iterator(variations)) {
    if (!entry.is_directory()) continue;
    const std::string name = entry.path().filename().string();
    CAPTURE(name);
    // float32: a few hundred roundings of 6e-8. Double: the record is rounded to float32 and so are the
    // mixers' inputs, which a delta rule amplifies.
    check_record(entry.path(), cpu_kernels(), 2e-5);
    check_record(entry.path(), reference_kernels(), 3e-6);
    types.insert(name.substr(0, name.find('-')));
    ++models;
  }
  CHECK(models == 41);
  CHECK(types.size() == 17);
}

/// A variation with one key of its config set to another value, given as JSON.
void check_refused_with(const char* name, const char* key, const char* value,
                        std::initializer_list<std::string_view> words) {
  CAPTURE(name);
  CAPTURE(key);
  const test::temporary_folder folder;
  fs::copy_file(variations / name / "model.safetensors", folder.path() / "model.safetensors");
  std::ifstream in(variations / name / "config.json");
  nlohmann::json config = nlohmann::json::parse(in);
  config[key] = nlohmann::json::parse(value);
  folder.write("config.json", config.dump());
  test::check_refused([&] { const model<float> m(checkpoint::open(folder.path()), cpu_kernels()); }, words);
}

TEST_CASE("a configuration that says what is not computed is refused with its key") {
  struct option final {
    const char *model, *key, *value;
  };
  for (const option& o : {option{"gla-filters", "attn", R"({"layers": [1]})"},
                          {"gla-filters", "attnres_block_size", "2"},
                          {"gla-filters", "feature_map", R"("relu")"},
                          {"gla-filters", "use_gv", "true"},
                          {"retnet-filters", "hidden_act", R"("gelu")"},
                          {"linear_attn-elu", "feature_map", R"("hedgehog")"},
                          {"linear_attn-elu", "norm_feature_map", "true"},
                          {"linear_attn-elu", "norm_q", "true"},
                          {"hgrn-filters", "elementwise_affine", "false"},
                          {"delta_net-no_filters", "qk_norm", R"("sum")"},
                          {"delta_net-no_filters", "qk_activation", R"("elu")"},
                          {"delta_net-no_filters", "use_beta", "false"},
                          {"rwkv7-ranks", "norm_first", "false"},
                          {"xlstm-tied", "weight_mode", R"("fused")"},
                          {"xlstm-tied", "add_out_norm", "false"},
                          {"llama-biases", "rope_parameters", R"({"rope_type": "llama3", "factor": 8})"},
                          {"llama-biases", "rope_scaling", R"({"type": "linear", "factor": 2})"},
                          {"llama-biases", "partial_rotary_factor", "0.5"},
                          {"mamba-seven_taps", "rms_norm", "false"},
                          {"mamba2-one_group", "norm_before_gate", "true"}})
    check_refused_with(o.model, o.key, o.value, {o.key, "can be loaded only with"});
}

TEST_CASE("a configuration that its tensors contradict is refused with its key") {
  struct option final {
    const char *model, *key, *value;
  };
  for (const option& o : {option{"llama-wide_heads", "head_dim", "4"},
                          {"llama-wide_heads", "attention_bias", "true"},
                          {"mamba-seven_taps", "use_conv_bias", "false"},
                          {"mamba-seven_taps", "state_size", "2"},
                          {"mamba2-one_group", "head_dim", "4"},
                          {"mamba2-three_heads_a_group", "n_groups", "1"},
                          {"hgrn2-no_bound", "expand_ratio", "4"},
                          {"hgrn2-no_bound", "num_heads", "7"},
                          {"delta_net-no_filters", "use_short_conv", "true"},
                          {"gated_deltanet-no_gate", "use_gate", "true"},
                          {"gla-no_gate", "use_output_gate", "true"}})
    check_refused_with(o.model, o.key, o.value, {"config.json", "block 0"});
  check_refused_with("gla-filters", "num_hidden_layers", "3", {"num_hidden_layers 3", "holds 2 blocks"});
}

/// A variation with one tensor renamed.
void check_refused_without(const char* name, const std::string& tensor) {
  CAPTURE(tensor);
  const test::temporary_folder folder;
  fs::copy_file(variations / name / "config.json", folder.path() / "config.json");
  test::safetensors_image image(variations / name / "model.safetensors");
  image.header[tensor + "_of_another"] = image.header.at(tensor);
  image.header.erase(tensor);
  folder.write("model.safetensors", image.bytes());
  test::check_refused([&] { const model<float> m(checkpoint::open(folder.path()), cpu_kernels()); }, {tensor});
}

TEST_CASE("biases that a format always has must be there") {
  check_refused_without("mamba-seven_taps", "backbone.layers.1.mixer.dt_proj.bias");
  check_refused_without("recurrent_gemma-wide_state", "model.layers.0.temporal_block.conv_1d.bias");
  check_refused_without("gla-filters", "model.layers.1.attn.gk_proj.1.bias");
  check_refused_without("kda-bounded", "model.layers.0.attn.g_proj.1.bias");
  check_refused_without("xlstm-tied", "backbone.blocks.1.mlstm_layer.igate_preact.bias");
}

TEST_CASE("a tensor that the format does not have is refused by its name") {
  const test::temporary_folder folder;
  fs::copy_file(variations / "xlstm-tied" / "config.json", folder.path() / "config.json");
  test::safetensors_image image(variations / "xlstm-tied" / "model.safetensors");
  const std::size_t end = image.numbers.size(), size = 16 * sizeof(float);
  image.header["backbone.blocks.0.norm_mlstm.bias"] = {
      {"dtype", "F32"}, {"shape", {16}}, {"data_offsets", {end, end + size}}};
  image.numbers.append(size, '\0');
  folder.write("model.safetensors", image.bytes());
  test::check_refused([&] { const model<float> m(checkpoint::open(folder.path()), cpu_kernels()); },
                      {"norm_mlstm.bias", "xLSTM", "not the model's"});
}

}  // namespace
}  // namespace alphaform
