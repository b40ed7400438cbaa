// Reader of rwkv.cpp model files: a header of six int32, then tensors until the end of the file.
#include <fmt/format.h>

#include <algorithm>
#include <alphaform/architectures/checkpoint/quote.hpp>
#include <alphaform/architectures/checkpoint/rwkv_cpp.hpp>
#include <alphaform/error.hpp>
#include <array>
#include <cstring>
#include <optional>
#include <unordered_set>
#include <utility>

namespace alphaform {
namespace {

constexpr std::int32_t magic_number = 0x67676d66;  // "ggmf"
constexpr std::int32_t most_dims = 4;              // of a ggml tensor
constexpr std::int32_t longest_name = 4096;

constexpr std::int32_t first_with_present_blocks = 101;  // file version; before, ggml laid its blocks out otherwise

/// The data types by their code; those without a dtype were given up by ggml or are not in the format's description.
using data_type = std::pair<std::string_view, std::optional<dtype>>;
constexpr std::array<data_type, 17> data_types{{{"FP32", dtype::f32},
                                                {"FP16", dtype::f16},
                                                {"Q4_0", dtype::q4_0},
                                                {"Q4_1", dtype::q4_1},
                                                {"Q4_1_O", {}},
                                                {"Q4_2", {}},
                                                {"Q4_3", {}},
                                                {"Q5_0", dtype::q5_0},
                                                {"Q5_1", dtype::q5_1},
                                                {"Q8_0", dtype::q8_0},
                                                {"Q8_1", {}},
                                                {"Q2_K", {}},
                                                {"Q3_K", {}},
                                                {"Q4_K", {}},
                                                {"Q5_K", {}},
                                                {"Q6_K", {}},
                                                {"Q8_K", {}}}};

/// What is left of the image, and whose it is.
struct cursor {
  std::span<const std::byte> rest;
  std::string_view source;

  std::span<const std::byte> take(std::uint64_t count, std::string_view what) {
    if (count > rest.size()) {
      throw user_error(fmt::format("cannot read {}: {} needs {} bytes but the file has only {} left; it is truncated",
                                   source, what, count, rest.size()));
    }
    const auto taken = rest.first(static_cast<std::size_t>(count));
    rest = rest.subspan(taken.size());
    return taken;
  }

  std::int32_t number(std::string_view what) {
    std::int32_t value = 0;
    std::memcpy(&value, take(sizeof value, what).data(), sizeof value);
    return value;
  }
};

dtype parse_type(std::int32_t code, std::int32_t version, std::string_view what, std::string_view source) {
  const bool listed = code >= 0 && code < static_cast<std::int32_t>(data_types.size());
  const auto [name, type] = listed ? data_types.at(static_cast<std::size_t>(code)) : data_type("unknown", {});
  if (!type) {
    throw user_error(
        fmt::format("cannot read {}: {} has the data type {} ({}), which is not supported; convert the model to FP32 "
                    "or FP16, or quantise it to Q4_0, Q4_1, Q5_0, Q5_1 or Q8_0",
                    source, what, code, name));
  }
  if (block_of(*type).elements != 1 && version < first_with_present_blocks) {
    throw user_error(
        fmt::format("cannot read {}: {} has the data type {} ({}) in a file of version {}, whose quantised blocks had "
                    "another layout; quantise the FP32 or FP16 model again, which gives version {}",
                    source, what, code, name, version, first_with_present_blocks));
  }
  return *type;
}

std::int32_t within(std::int32_t value, std::int32_t low, std::int32_t high, std::string_view what,
                    std::string_view source) {
  if (value < low || value > high) {
    throw user_error(fmt::format("cannot read {}: {} is {} but must be between {} and {}; the file is damaged", source,
                                 what, value, low, high));
  }
  return value;
}

std::string parse_name(cursor& at, std::int32_t length) {
  const auto bytes = at.take(static_cast<std::uint64_t>(length), "a tensor name");
  std::string name(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (!std::all_of(name.begin(), name.end(), [](char c) { return c > ' ' && c <= '~'; })) {
    throw user_error(fmt::format(
        "cannot read {}: a tensor name holds bytes that are not printable ASCII; the file is damaged", at.source));
  }
  return name;
}

/// The bytes of a tensor of type and shape from the file.
std::uint64_t size_in_bytes(const stored_tensor& tensor, std::string_view what, std::string_view source) {
  const auto [elements, bytes] = block_of(tensor.type);
  const bool positive = *std::min_element(tensor.shape.begin(), tensor.shape.end()) > 0;
  if (positive && tensor.shape.back() % static_cast<std::int64_t>(elements) != 0) {
    throw user_error(
        fmt::format("cannot read {}: {} has rows of {} numbers but {} stores blocks of {}; the file is "
                    "damaged",
                    source, what, tensor.shape.back(), name_of(tensor.type), elements));
  }
  const auto size = stored_size(tensor.type, tensor.shape);
  if (!positive || !size) {
    throw user_error(fmt::format("cannot read {}: {} has the impossible shape [{}]; the file is damaged", source, what,
                                 fmt::join(tensor.shape, ", ")));
  }
  return *size;
}

stored_tensor parse_tensor(cursor& at, std::int32_t version) {
  const auto dims = within(at.number("a tensor header"), 1, most_dims, "a tensor's number of dimensions", at.source);
  const auto length = within(at.number("a tensor header"), 1, longest_name, "the length of a tensor's name", at.source);
  const auto type = at.number("a tensor header");
  std::vector<std::int64_t> shape;
  for (std::int32_t i = 0; i < dims; ++i) shape.push_back(at.number("a tensor's shape"));
  std::reverse(shape.begin(), shape.end());
  stored_tensor tensor{parse_name(at, length), dtype::f32, std::move(shape), {}};
  const std::string what = fmt::format("the tensor {}", quote(tensor.name));
  tensor.type = parse_type(type, version, what, at.source);
  tensor.bytes = at.take(size_in_bytes(tensor, what, at.source), what);
  return tensor;
}

}  // namespace

bool is_rwkv_cpp(std::span<const std::byte> image) {
  std::int32_t magic = 0;
  if (image.size() < sizeof magic) return false;
  std::memcpy(&magic, image.data(), sizeof magic);
  return magic == magic_number;
}

rwkv_cpp_header parse_rwkv_cpp_header(std::span<const std::byte> image, std::string_view source) {
  if (image.size() < sizeof(rwkv_cpp_header)) {
    throw user_error(
        fmt::format("cannot read {}: it has {} bytes but the header of an rwkv.cpp file has {}; it is truncated",
                    source, image.size(), sizeof(rwkv_cpp_header)));
  }
  rwkv_cpp_header header{};
  std::memcpy(&header, image.data(), sizeof header);
  if (header.magic != magic_number) {
    throw user_error(fmt::format("cannot read {}: it starts with {:#x} but an rwkv.cpp file starts with {:#x}", source,
                                 static_cast<std::uint32_t>(header.magic), static_cast<std::uint32_t>(magic_number)));
  }
  if (header.version != 100 && header.version != 101) {
    throw user_error(
        fmt::format("cannot read {}: it is an rwkv.cpp file of version {} and versions 100 and 101 are known", source,
                    header.version));
  }
  constexpr std::int32_t most = 1 << 24;
  within(header.n_vocab, 1, most, "n_vocab", source);
  within(header.n_embed, 1, most, "n_embed", source);
  within(header.n_layer, 1, most, "n_layer", source);
  parse_type(header.data_type, header.version, "its header", source);
  return header;
}

std::vector<stored_tensor> parse_rwkv_cpp(std::span<const std::byte> image, std::string_view source) {
  const std::int32_t version = parse_rwkv_cpp_header(image, source).version;
  cursor at{image.subspan(sizeof(rwkv_cpp_header)), source};
  std::vector<stored_tensor> tensors;
  std::unordered_set<std::string> names;
  while (!at.rest.empty()) {
    tensors.push_back(parse_tensor(at, version));
    if (!names.insert(tensors.back().name).second) {
      throw user_error(fmt::format("cannot read {}: it holds the tensor {} twice", source, quote(tensors.back().name)));
    }
  }
  return tensors;
}

tensor_file read_rwkv_cpp(const std::filesystem::path& path) {
  const auto file = mapped_file::open(path);
  const auto header = parse_rwkv_cpp_header(file.bytes(), quote_path(path));
  return {file,
          fmt::format("rwkv.cpp version {}", header.version),
          parse_rwkv_cpp(file.bytes(), quote_path(path)),
          {{"model_type", "rwkv.cpp"},
           {"n_vocab", header.n_vocab},
           {"n_embed", header.n_embed},
           {"n_layer", header.n_layer},
           {"data_type", header.data_type}}};
}

}  // namespace alphaform
