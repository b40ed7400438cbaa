#include <unistd.h>

#include <alphaform/architectures/checkpoint/checkpoint.hpp>
#include <alphaform/architectures/checkpoint/safetensors_writer.hpp>
#include <alphaform/benchmarks/backend.hpp>
#include <alphaform/benchmarks/problem.hpp>
#include <alphaform/benchmarks/random_model.hpp>
#include <fstream>
#include <random>

namespace alphaform::benchmarks {

namespace {

/// The tensors of a checkpoint as transformers names them.
class weights final {
 public:
  explicit weights(const model_sizes& s) {
    const std::size_t W = s.width, C = s.channels(), N = model_sizes::states, R = s.ranks();
    add("backbone.embeddings.weight", {s.vocabulary, W}, 1);
    for (std::size_t i = 0; i < s.layers; ++i) {
      const std::string layer = "backbone.layers." + std::to_string(i) + ".", mixer = layer + "mixer.";
      add(layer + "norm.weight", {W}, 0);
      add(mixer + "in_proj.weight", {2 * C, W}, W);
      add(mixer + "conv1d.weight", {C, 1, model_sizes::taps}, model_sizes::taps);
      add(mixer + "conv1d.bias", {C}, 0);
      add(mixer + "x_proj.weight", {R + 2 * N, C}, C);
      add(mixer + "dt_proj.weight", {C, R}, R);
      add(mixer + "dt_proj.bias", {C}, 0);
      add(mixer + "A_log", {C, N}, 0);
      add(mixer + "D", {C}, 1);
      add(mixer + "out_proj.weight", {W, C}, C);
    }
    add("backbone.norm_f.weight", {W}, 0);
  }
  void write(const std::filesystem::path& file) const {
    std::ofstream out(file, std::ios::binary);
    write_safetensors(tensors_, {}, [&out](std::span<const std::byte> bytes) {
      out.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
    });
    if (!out.flush()) throw runtime_error("the model of a benchmark cannot be written to " + file.string());
  }

 private:
  void add(const std::string& name, const std::vector<std::size_t>& shape, std::size_t fan_in) {
    std::size_t count = 1;
    for (const std::size_t k : shape) count *= k;
    std::vector<float>& numbers = numbers_.emplace_back(count);
    fill(numbers, "mamba", name, fan_in, shape.back());
    tensors_.push_back({name, dtype::f32, {shape.begin(), shape.end()}, std::as_bytes(std::span(numbers))});
  }

  std::vector<std::vector<float>> numbers_;
  std::vector<stored_tensor> tensors_;
};

/// The files are in memory once they are open, or stay on the disk without a name until nobody reads them.
checkpoint checkpoint_of(const model_sizes& s) {
  const std::filesystem::path folder =
      std::filesystem::temp_directory_path() /
      ("alphaform-bench-" + std::to_string(getpid()) + "-" + std::to_string(std::random_device{}()));
  std::filesystem::create_directory(folder);
  const auto remove = [](const std::filesystem::path* f) { std::filesystem::remove_all(*f); };
  const std::unique_ptr<const std::filesystem::path, decltype(remove)> removed(&folder, remove);
  weights(s).write(folder / "model.safetensors");
  std::ofstream(folder / "config.json") << R"({"model_type": "mamba", "hidden_act": "silu"})";
  return checkpoint::open(folder);
}

}  // namespace

model_sizes reduced(model_sizes s) {
  return {std::min<std::size_t>(s.layers, 2), 32, 64, std::min<std::size_t>(s.tokens, 16)};
}

random_model::random_model(const model_sizes& s) : of(checkpoint_of(s), backend()) {
  for (std::size_t t = 0; t < s.tokens; ++t) ids.push_back(static_cast<std::int64_t>(t * 7919 % s.vocabulary));
  text = of.text_of(ids);
}

}  // namespace alphaform::benchmarks
