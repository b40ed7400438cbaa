// A checkpoint: which format the path holds, its tensors in one sorted list, and the configuration beside them.
#include <fmt/format.h>

#include <algorithm>
#include <alphaform/architectures/checkpoint/checkpoint.hpp>
#include <alphaform/architectures/checkpoint/quote.hpp>
#include <alphaform/architectures/checkpoint/rwkv_cpp.hpp>
#include <alphaform/architectures/checkpoint/safetensors.hpp>
#include <alphaform/architectures/checkpoint/torch_file.hpp>
#include <alphaform/architectures/checkpoint/untrusted_json.hpp>
#include <alphaform/architectures/checkpoint/zip_archive.hpp>
#include <alphaform/error.hpp>
#include <iterator>
#include <utility>
#include <vector>

namespace alphaform {

namespace fs = std::filesystem;

struct checkpoint::contents {
  fs::path path;
  std::string format;
  std::vector<mapped_file> files;
  std::vector<std::shared_ptr<const void>> owners;
  std::vector<stored_tensor> tensors;
  nlohmann::json config;
};

namespace {

constexpr const char* single_file = "model.safetensors";
constexpr const char* index_file = "model.safetensors.index.json";
constexpr const char* torch_file = "pytorch_model.bin";
constexpr const char* torch_extension = ".pth";

bool present(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

/// The .pth files of a folder, sorted.
std::vector<fs::path> torch_files(const fs::path& folder) {
  std::vector<fs::path> found;
  std::error_code failed;
  for (fs::directory_iterator at(folder, failed), end; !failed && at != end; at.increment(failed)) {
    if (at->path().extension() == torch_extension) found.push_back(at->path());
  }
  if (failed) throw runtime_error(fmt::format("cannot list the folder {}: {}", quote_path(folder), failed.message()));
  std::sort(found.begin(), found.end());
  return found;
}

/// The file that holds or lists the tensors: `path` itself, or what a folder contains.
fs::path weights_of(const fs::path& path) {
  std::error_code ignored;
  if (!fs::is_directory(path, ignored)) return path;
  for (const char* name : {single_file, index_file, torch_file}) {
    if (present(path / name)) return path / name;
  }
  const auto found = torch_files(path);
  if (found.size() == 1) return found[0];
  if (found.size() > 1) {
    throw user_error(
        fmt::format("cannot open the folder {} as a checkpoint: it has {} {} files, {} and {} among them; "
                    "give the path of one",
                    quote_path(path), found.size(), torch_extension, quote(found[0].filename().string()),
                    quote(found[1].filename().string())));
  }
  throw user_error(
      fmt::format("cannot open the folder {} as a checkpoint: it has neither {} nor {}, and no PyTorch file {} or *{}",
                  quote_path(path), single_file, index_file, torch_file, torch_extension));
}

tensor_file read_binary(const fs::path& path) {
  const auto file = mapped_file::open(path);
  if (is_rwkv_cpp(file.bytes())) return read_rwkv_cpp(path);
  if (is_zip(file.bytes())) return read_torch_file(path);
  if (is_legacy_torch(file.bytes())) {
    throw user_error(fmt::format(
        "cannot open {} as a checkpoint: it has PyTorch's format before version 1.6; load it with a newer PyTorch and "
        "save it again: torch.save(torch.load(old, map_location=\"cpu\", weights_only=True), new)",
        quote_path(path)));
  }
  throw user_error(
      fmt::format("cannot open {} as a checkpoint: it is neither a .safetensors file, a .safetensors.index.json, a zip "
                  "file of torch.save, an rwkv.cpp file nor a folder with one of them; convert it to safetensors",
                  quote_path(path)));
}

std::vector<tensor_file> read_files(const fs::path& weights) {
  const std::string name = weights.filename().string();
  if (name.ends_with(".safetensors.index.json")) return read_safetensors_index(weights);
  if (name.ends_with(".safetensors")) return {read_safetensors(weights)};
  return {read_binary(weights)};
}

nlohmann::json config_beside(const fs::path& weights) {
  const fs::path config = weights.parent_path() / "config.json";
  return present(config) ? read_python_json(config) : nlohmann::json();
}

bool by_name(const stored_tensor& a, const stored_tensor& b) { return a.name < b.name; }

std::size_t common_prefix(std::string_view a, std::string_view b) {
  const auto [first, second] = std::mismatch(a.begin(), a.end(), b.begin(), b.end());
  return static_cast<std::size_t>(std::distance(a.begin(), first));
}

std::span<const stored_tensor>::iterator lower_bound(std::span<const stored_tensor> sorted, std::string_view name) {
  return std::lower_bound(sorted.begin(), sorted.end(), name,
                          [](const stored_tensor& tensor, std::string_view wanted) { return tensor.name < wanted; });
}

/// The neighbour in the sorted list that shares the longer beginning with `name`; the list is not empty.
const std::string& nearest(std::span<const stored_tensor> sorted, std::string_view name) {
  const auto after = lower_bound(sorted, name);
  if (after == sorted.begin()) return after->name;
  if (after == sorted.end()) return std::prev(after)->name;
  const bool before = common_prefix(std::prev(after)->name, name) >= common_prefix(after->name, name);
  return before ? std::prev(after)->name : after->name;
}

}  // namespace

checkpoint checkpoint::open(const fs::path& path) {
  const fs::path weights = weights_of(path);
  std::vector<tensor_file> files = read_files(weights);
  contents all{path, "", {}, {}, {}, nullptr};
  all.format = files.size() == 1 ? files[0].format : fmt::format("safetensors, {} shards", files.size());
  all.config = files.size() == 1 && !files[0].header.is_null() ? files[0].header : config_beside(weights);
  for (tensor_file& file : files) {
    all.files.push_back(file.file);
    all.owners.push_back(std::move(file.owner));
    std::move(file.tensors.begin(), file.tensors.end(), std::back_inserter(all.tensors));
  }
  std::sort(all.tensors.begin(), all.tensors.end(), by_name);
  return checkpoint(std::make_shared<const contents>(std::move(all)));
}

const std::string& checkpoint::format() const& { return contents_->format; }

const fs::path& checkpoint::path() const& { return contents_->path; }

std::span<const stored_tensor> checkpoint::tensors() const& { return contents_->tensors; }

const nlohmann::json& checkpoint::config() const& { return contents_->config; }

const stored_tensor* checkpoint::find(std::string_view name) const& {
  const auto found = lower_bound(tensors(), name);
  return found != tensors().end() && found->name == name ? &*found : nullptr;
}

const stored_tensor& checkpoint::at(std::string_view name) const& {
  if (const stored_tensor* found = find(name)) return *found;
  const auto advice = tensors().empty() ? std::string("it has no tensors at all")
                                        : fmt::format("it has {} tensors and the nearest name is {}", tensors().size(),
                                                      quote(nearest(tensors(), name)));
  throw user_error(fmt::format("the checkpoint {} has no tensor {}; {}", quote_path(path()), quote(name), advice));
}

}  // namespace alphaform
