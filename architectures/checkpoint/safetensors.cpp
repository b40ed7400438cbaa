// Reader of the safetensors format: header, entries, coverage of the buffer; and the index of sharded checkpoints.
#include <fmt/format.h>

#include <algorithm>
#include <alphaform/architectures/checkpoint/quote.hpp>
#include <alphaform/architectures/checkpoint/safetensors.hpp>
#include <alphaform/architectures/checkpoint/safetensors_types.hpp>
#include <alphaform/architectures/checkpoint/untrusted_json.hpp>
#include <alphaform/error.hpp>
#include <cstring>
#include <map>
#include <set>
#include <utility>

namespace alphaform {
namespace {

using nlohmann::json;

constexpr std::size_t length_bytes = 8;
constexpr std::uint64_t largest_header = 100'000'000;

std::string_view header_text(std::span<const std::byte> image, std::string_view source) {
  if (image.size() < length_bytes) {
    throw user_error(
        fmt::format("cannot read {}: it has {} bytes but a safetensors file has at least {}; the file is "
                    "truncated or not a safetensors file",
                    source, image.size(), length_bytes));
  }
  std::uint64_t length = 0;
  std::memcpy(&length, image.data(), length_bytes);
  if (length > image.size() - length_bytes) {
    throw user_error(
        fmt::format("cannot read {}: its header says {} bytes but the file has {}; the file is truncated or "
                    "not a safetensors file",
                    source, length, image.size()));
  }
  if (length > largest_header) {
    throw user_error(fmt::format("cannot read {}: its header has {} bytes and the format allows {}", source, length,
                                 largest_header));
  }
  return {reinterpret_cast<const char*>(image.data()) + length_bytes, static_cast<std::size_t>(length)};
}

dtype parse_type(const json& entry, std::string_view source) {
  const std::string name = string_at(entry, "dtype", source);
  const auto* row =
      std::find_if(safetensors_types.begin(), safetensors_types.end(), [&](const auto& r) { return r.first == name; });
  if (row == safetensors_types.end()) {
    throw user_error(fmt::format("cannot read {}: its dtype {} is not known; F32, F16, BF16, F64 and I64 can be used",
                                 source, quote(name)));
  }
  return row->second;
}

std::vector<std::int64_t> parse_shape(const json& entry, std::string_view source) {
  const json& dims = required(entry, "shape", source);
  if (!dims.is_array()) throw user_error(fmt::format("cannot read {}: its shape must be a JSON array", source));
  std::vector<std::int64_t> shape;
  for (const json& dim : dims) shape.push_back(count_of(dim, "each number of its shape", source));
  return shape;
}

std::uint64_t size_in_bytes(const stored_tensor& tensor, std::string_view source) {
  if (const auto size = stored_size(tensor.type, tensor.shape)) return *size;
  throw user_error(fmt::format("cannot read {}: its shape [{}] overflows the number of bytes", source,
                               fmt::join(tensor.shape, ", ")));
}

stored_tensor parse_entry(const std::string& name, const json& entry, std::span<const std::byte> data,
                          std::string_view file) {
  const std::string source = fmt::format("the tensor {} of {}", quote(name), file);
  stored_tensor tensor{name, parse_type(entry, source), parse_shape(entry, source), {}};
  const json& offsets = required(entry, "data_offsets", source);
  if (!offsets.is_array() || offsets.size() != 2) {
    throw user_error(fmt::format("cannot read {}: its data_offsets must be two numbers, begin and end", source));
  }
  const auto begin = static_cast<std::uint64_t>(count_of(offsets[0], "each number of its data_offsets", source));
  const auto end = static_cast<std::uint64_t>(count_of(offsets[1], "each number of its data_offsets", source));
  if (begin > end || end > data.size()) {
    throw user_error(
        fmt::format("cannot read {}: its data_offsets [{}, {}] are outside the {} bytes of data; the file is "
                    "truncated or damaged",
                    source, begin, end, data.size()));
  }
  if (const std::uint64_t size = size_in_bytes(tensor, source); size != end - begin) {
    throw user_error(fmt::format("cannot read {}: {} of shape [{}] needs {} bytes but its data_offsets hold {}", source,
                                 name_of(tensor.type), fmt::join(tensor.shape, ", "), size, end - begin));
  }
  tensor.bytes = data.subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(end - begin));
  return tensor;
}

/// The format wants every byte of the buffer to belong to exactly one tensor.
void check_coverage(const std::vector<stored_tensor>& tensors, std::span<const std::byte> data,
                    std::string_view source) {
  std::vector<const stored_tensor*> order;
  for (const stored_tensor& tensor : tensors) order.push_back(&tensor);
  std::sort(order.begin(), order.end(), [](const stored_tensor* a, const stored_tensor* b) {
    return std::pair(a->bytes.data(), a->bytes.size()) < std::pair(b->bytes.data(), b->bytes.size());
  });
  const std::byte* covered = data.data();
  for (const stored_tensor* tensor : order) {
    if (tensor->bytes.data() != covered) {
      throw user_error(fmt::format(
          "cannot read {}: the tensor {} {}; the format allows neither overlaps nor holes", source, quote(tensor->name),
          tensor->bytes.data() < covered ? "overlaps another one" : "leaves a hole before it"));
    }
    covered += tensor->bytes.size();
  }
  if (const auto rest = data.data() + data.size() - covered; rest != 0) {
    throw user_error(
        fmt::format("cannot read {}: its last {} bytes belong to no tensor; the format allows no holes", source, rest));
  }
}

void check_metadata(const json& metadata, std::string_view source) {
  const bool strings =
      std::all_of(metadata.begin(), metadata.end(), [](const json& value) { return value.is_string(); });
  if (!metadata.is_object() || !strings) {
    throw user_error(fmt::format("cannot read {}: its __metadata__ must be a JSON object of strings", source));
  }
}

/// {shard file name: names of its tensors}. The names must be plain, so that an index cannot reach outside its folder.
std::map<std::string, std::set<std::string>> parse_weight_map(const json& index, std::string_view source) {
  const json& weights = required(index, "weight_map", source);
  if (!weights.is_object())
    throw user_error(fmt::format("cannot read {}: its weight_map must be a JSON object", source));
  std::map<std::string, std::set<std::string>> shards;
  for (const auto& [tensor, file] : weights.items()) {
    const std::string shard = file.is_string() ? file.get<std::string>() : "";
    if (!shard.ends_with(".safetensors") || shard.find_first_of(std::string_view("/\\\0", 3)) != std::string::npos) {
      throw user_error(
          fmt::format("cannot read {}: the shard {} of the tensor {} must be the plain name of a .safetensors "
                      "file in the same folder",
                      source, quote(shard), quote(tensor)));
    }
    shards[shard].insert(tensor);
  }
  return shards;
}

}  // namespace

std::vector<stored_tensor> parse_safetensors(std::span<const std::byte> image, std::string_view source) {
  const std::string_view text = header_text(image, source);
  const auto data = image.subspan(length_bytes + text.size());
  const json header = parse_json(text, fmt::format("the header of {}", source));
  if (!header.is_object()) {
    throw user_error(
        fmt::format("cannot read {}: its header must be a JSON object; the file is damaged or not a "
                    "safetensors file",
                    source));
  }
  std::vector<stored_tensor> tensors;
  for (const auto& [name, entry] : header.items()) {
    if (name == "__metadata__") {
      check_metadata(entry, source);
    } else {
      tensors.push_back(parse_entry(name, entry, data, source));
    }
  }
  check_coverage(tensors, data, source);
  return tensors;
}

tensor_file read_safetensors(const std::filesystem::path& path) {
  const auto file = mapped_file::open(path);
  return {file, "safetensors", parse_safetensors(file.bytes(), quote_path(path)), nullptr};
}

std::vector<tensor_file> read_safetensors_index(const std::filesystem::path& path) {
  std::vector<tensor_file> files;
  for (auto& [shard, names] : parse_weight_map(read_json(path), quote_path(path))) {
    tensor_file file = read_safetensors(path.parent_path() / shard);
    std::erase_if(file.tensors,
                  [&names = names](const stored_tensor& tensor) { return names.erase(tensor.name) == 0; });
    if (!names.empty()) {
      throw user_error(fmt::format("cannot read {}: it places the tensor {} in {} but that file has no such tensor",
                                   quote_path(path), quote(*names.begin()), quote(shard)));
    }
    files.push_back(std::move(file));
  }
  return files;
}

}  // namespace alphaform
