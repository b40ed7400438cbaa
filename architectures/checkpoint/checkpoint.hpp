// A checkpoint: the named tensors and the configuration of a trained model, whatever format its files have.
#pragma once
#include <alphaform/architectures/checkpoint/tensor_file.hpp>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace alphaform {

/// An immutable shared handle, cheap to copy. It keeps its files in memory; a stored_tensor is valid while a copy of it
/// lives, which is why the members that refer into it cannot be called on a temporary.
class checkpoint {
 public:
  /// @param path a .safetensors file, a sharded model.safetensors.index.json, a PyTorch file that torch.save wrote
  /// since version 1.6 (.pth, .pt, .bin: told by its content), an rwkv.cpp file, or a folder with model.safetensors,
  /// that index, pytorch_model.bin or a single .pth file, the first of them that is there.
  /// @throws user_error if nothing of that kind is there or the files are malformed; runtime_error if the system fails.
  static checkpoint open(const std::filesystem::path& path);

  /// "safetensors", "safetensors, 3 shards", "PyTorch" or "rwkv.cpp version 100".
  const std::string& format() const&;
  const std::string& format() const&& = delete;

  /// The path that was opened.
  const std::filesystem::path& path() const&;
  const std::filesystem::path& path() const&& = delete;

  /// All tensors, sorted by name.
  std::span<const stored_tensor> tensors() const&;
  std::span<const stored_tensor> tensors() const&& = delete;

  /// The tensor of that name, or nullptr.
  const stored_tensor* find(std::string_view name) const&;
  const stored_tensor* find(std::string_view name) const&& = delete;

  /// The tensor of that name. @throws user_error if there is none.
  const stored_tensor& at(std::string_view name) const&;
  const stored_tensor& at(std::string_view name) const&& = delete;

  /// The config.json beside the tensors, or null if there is none. A bare Infinity or NaN in it becomes {"__float__":
  /// "Infinity"}. For rwkv.cpp: {"model_type": "rwkv.cpp", "n_vocab", "n_embed", "n_layer", "data_type"}.
  const nlohmann::json& config() const&;
  const nlohmann::json& config() const&& = delete;

 private:
  struct contents;
  explicit checkpoint(std::shared_ptr<const contents> all) : contents_(std::move(all)) {}

  std::shared_ptr<const contents> contents_;
};

}  // namespace alphaform
