// Header first, which needs only sizes; then the bytes of one tensor after the other.
#include <fmt/format.h>

#include <algorithm>
#include <alphaform/architectures/checkpoint/quote.hpp>
#include <alphaform/architectures/checkpoint/safetensors_types.hpp>
#include <alphaform/architectures/checkpoint/safetensors_writer.hpp>
#include <alphaform/error.hpp>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <tuple>
#include <vector>

namespace alphaform {
namespace {

constexpr std::size_t alignment = 8;
constexpr std::string_view metadata_key = "__metadata__";

/// The name of a type in the format, empty if it has none.
std::string_view format_name(dtype type) {
  const auto* row =
      std::find_if(safetensors_types.begin(), safetensors_types.end(), [&](const auto& r) { return r.second == type; });
  return row == safetensors_types.end() ? "" : row->first;
}

dtype written_type(dtype type) { return format_name(type).empty() ? dtype::f32 : type; }

std::uint64_t written_size(const stored_tensor& tensor) {
  const auto stored = stored_size(tensor.type, tensor.shape);
  const auto size = stored_size(written_type(tensor.type), tensor.shape);
  if (!stored || !size || *stored != tensor.bytes.size()) {
    throw internal_error(fmt::format("the tensor {} of shape [{}] has {} bytes", quote(tensor.name),
                                     fmt::join(tensor.shape, ", "), tensor.bytes.size()));
  }
  return *size;
}

std::vector<const stored_tensor*> order_of(std::span<const stored_tensor> tensors) {
  std::vector<const stored_tensor*> order;
  for (const stored_tensor& tensor : tensors) {
    if (tensor.name == metadata_key) {
      throw user_error(fmt::format("cannot write the tensor {}: safetensors files keep this name for texts; rename it",
                                   quote(tensor.name)));
    }
    order.push_back(&tensor);
  }
  std::sort(order.begin(), order.end(), [](const stored_tensor* a, const stored_tensor* b) {
    const std::size_t width_a = bytes_of(written_type(a->type)), width_b = bytes_of(written_type(b->type));
    return std::tie(width_b, a->name) < std::tie(width_a, b->name);
  });
  return order;
}

/// `key: value` as a member of a JSON object.
std::string member_text(const std::string& key, const nlohmann::ordered_json& value) {
  try {
    return nlohmann::json(key).dump() + ":" + value.dump();
  } catch (const nlohmann::json::type_error&) {
    throw user_error(fmt::format("cannot write {} into a safetensors header: it is not UTF-8; rename it", quote(key)));
  }
}

std::string header_of(const std::vector<const stored_tensor*>& order,
                      const std::map<std::string, std::string>& metadata) {
  std::vector<std::string> members;
  if (!metadata.empty()) members.push_back(member_text(std::string(metadata_key), metadata));
  std::uint64_t begin = 0;
  for (const stored_tensor* tensor : order) {
    const std::uint64_t end = begin + written_size(*tensor);
    members.push_back(member_text(tensor->name, {{"dtype", format_name(written_type(tensor->type))},
                                                 {"shape", tensor->shape},
                                                 {"data_offsets", {begin, end}}}));
    begin = end;
  }
  std::string text = fmt::format("{{{}}}", fmt::join(members, ","));
  text.resize((text.size() + alignment - 1) / alignment * alignment, ' ');
  return text;
}

void check_names(std::span<const stored_tensor> tensors) {
  std::vector<std::string_view> names;
  for (const stored_tensor& tensor : tensors) names.push_back(tensor.name);
  std::sort(names.begin(), names.end());
  if (const auto twice = std::adjacent_find(names.begin(), names.end()); twice != names.end()) {
    throw user_error(fmt::format("cannot write the tensor {}: there are two of this name; rename one", quote(*twice)));
  }
}

}  // namespace

void write_safetensors(std::span<const stored_tensor> tensors, const std::map<std::string, std::string>& metadata,
                       const byte_sink& sink) {
  check_names(tensors);
  const auto order = order_of(tensors);
  const std::string header = header_of(order, metadata);
  const std::uint64_t length = header.size();
  sink(std::as_bytes(std::span(&length, 1)));
  sink(std::as_bytes(std::span(header)));
  for (const stored_tensor* tensor : order) {
    if (written_type(tensor->type) == tensor->type) {
      sink(tensor->bytes);
    } else {
      const std::vector<float> numbers = values<float>(*tensor);
      sink(std::as_bytes(std::span(numbers)));
    }
  }
}

}  // namespace alphaform
