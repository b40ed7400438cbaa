// From the pickle of a PyTorch file to tensors: which dict is the state dict, what its tensors say of their storages,
// and views of the storages' bytes, copied where they are not contiguous.
#include <fmt/format.h>

#include <algorithm>
#include <alphaform/architectures/checkpoint/pickle.hpp>
#include <alphaform/architectures/checkpoint/quote.hpp>
#include <alphaform/architectures/checkpoint/strided_view.hpp>
#include <alphaform/architectures/checkpoint/torch_file.hpp>
#include <alphaform/architectures/checkpoint/zip_archive.hpp>
#include <alphaform/architectures/text/unicode.hpp>
#include <alphaform/error.hpp>
#include <array>
#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <unordered_set>
#include <utility>

namespace alphaform {
namespace {

using kind = pickled::kind;
using place = std::uint32_t;
using byte_vector = std::vector<std::byte>;

constexpr std::array<std::pair<std::string_view, dtype>, 10> storage_types{{{"torch.FloatStorage", dtype::f32},
                                                                            {"torch.HalfStorage", dtype::f16},
                                                                            {"torch.BFloat16Storage", dtype::bf16},
                                                                            {"torch.DoubleStorage", dtype::f64},
                                                                            {"torch.LongStorage", dtype::i64},
                                                                            {"torch.IntStorage", dtype::i32},
                                                                            {"torch.ShortStorage", dtype::i16},
                                                                            {"torch.CharStorage", dtype::i8},
                                                                            {"torch.ByteStorage", dtype::u8},
                                                                            {"torch.BoolStorage", dtype::boolean}}};

constexpr std::array<std::string_view, 3> state_dict_keys{"model", "model_state_dict", "state_dict"};
constexpr std::string_view rebuild_tensor = "torch._utils._rebuild_tensor_v2";
constexpr std::array<std::string_view, 2> rebuild_parameter{"torch._utils._rebuild_parameter",
                                                            "torch._utils._rebuild_parameter_with_state"};

bool is_utf8(std::string_view text) { return visible(text) == text; }

constexpr std::size_t longest_name = 512;
constexpr std::size_t most_tensors = 1'000'000;
constexpr std::size_t deepest = 64;

/// A tensor as the pickle describes it.
struct described_tensor {
  std::string name, storage;
  dtype type;
  std::uint64_t elements;  // of the storage
  strided_view view;
};

/// The tensors of the state dict of one pickle.
class state_dict_reader final {
 public:
  state_dict_reader(const pickle& from, std::size_t pickle_bytes, std::string_view source)
      : from_(from), most_visits_(pickle_bytes), source_(source), without_storage_(from.values.size()) {}

  std::vector<described_tensor> read() {
    collect(state_dict(), 0);
    return std::move(tensors_);
  }

 private:
  [[noreturn]] void fail(std::string_view why) const {
    throw user_error(fmt::format("cannot read {}: {}", source_, why));
  }
  [[noreturn]] void fail_tensor(std::string_view why) const {
    throw user_error(
        fmt::format("cannot read the tensor {} of {}: {}; the file is damaged", quote(name_), source_, why));
  }

  [[noreturn]] void fail_global(std::string_view global) const {
    fail(
        fmt::format("its {} asks for {}, which alphaform does not run: only dense tensors and parameters of the usual "
                    "types are read; convert it to one and save it again",
                    quote(name_), quote(global)));
  }

  /// The function or class that Python would call for this object, where calls of calls are followed for a while.
  const std::string& called(const pickled* object) const {
    for (std::size_t steps = 0; object->is == kind::object && steps < deepest; ++steps)
      object = &from_[object->items[0]];
    return object->text;
  }

  /// True if a tensor's numbers can be reached from this value through containers and arguments.
  bool reaches_storage(place start) {
    std::vector<place> open{start}, seen;
    while (!open.empty()) {
      const place at = open.back();
      open.pop_back();
      if (without_storage_[at]) continue;
      if (from_[at].is == kind::persistent) {
        for (const place passed : seen) without_storage_[passed] = false;
        return true;
      }
      without_storage_[at] = true;
      seen.push_back(at);
      open.insert(open.end(), from_[at].items.begin(), from_[at].items.end());
    }
    return false;
  }

  /// The member of a dict, the last of equal keys as in Python.
  std::optional<place> member(const pickled& dict, std::string_view key) const {
    std::optional<place> found;
    for (std::size_t i = 0; i + 1 < dict.items.size(); i += 2) {
      const pickled& at = from_[dict.items[i]];
      if (at.is == kind::text && at.text == key) found = dict.items[i + 1];
    }
    return found;
  }

  place state_dict() {
    const pickled& whole = from_[from_.root];
    if (whole.is == kind::object) {
      fail(
          fmt::format("it asks for {}, which alphaform does not run: it holds a whole object and not a state dict; "
                      "save model.state_dict() with torch.save",
                      quote(called(&whole))));
    }
    if (whole.is != kind::dict) fail("what was saved is not a dict; save model.state_dict() with torch.save");
    for (const std::string_view key : state_dict_keys) {
      const auto found = member(whole, key);
      if (found && from_[*found].is == kind::dict && reaches_storage(*found)) return *found;
    }
    return from_.root;
  }

  void collect(place at, std::size_t depth) {
    const pickled& value = from_[at];
    if (++visits_ > most_visits_) fail("its dicts hold each other too often to be listed; save the state dict alone");
    if (depth > deepest && !reaches_storage(at)) return;
    if (depth > deepest) fail(fmt::format("its dicts nest deeper than {} levels; save the state dict alone", deepest));
    if (value.is == kind::dict) {
      for (std::size_t i = 0; i + 1 < value.items.size(); i += 2)
        collect_member(from_[value.items[i]], value.items[i + 1], depth);
    } else if (value.is == kind::list || value.is == kind::tuple) {
      for (std::size_t i = 0; i < value.items.size(); ++i) {
        collect_member({kind::integer, static_cast<std::int64_t>(i), {}, {}}, value.items[i], depth);
      }
    } else if (value.is == kind::object || value.is == kind::persistent) {
      collect_tensor(value, at);
    }
  }

  void collect_member(const pickled& key, place value, std::size_t depth) {
    const kind is = from_[value].is;
    if (is != kind::dict && is != kind::list && is != kind::tuple && is != kind::object && is != kind::persistent) {
      ++visits_;
      return;
    }
    const std::size_t before = name_.size();
    if (depth > 0) name_ += '.';
    if (key.is == kind::integer) {
      name_ += std::to_string(key.integer);
    } else if (key.is == kind::text && key.text.size() <= longest_name) {
      name_ += key.text;
    } else if (reaches_storage(value)) {
      fail(
          fmt::format("a key under {} is neither a number nor a text of at most {} bytes", quote(name_), longest_name));
    }
    collect(value, depth + 1);
    name_.resize(before);
  }

  void collect_tensor(const pickled& value, place at) {
    if (auto tensor = describe(value)) {
      if (!is_utf8(name_)) fail(fmt::format("the name of the tensor {} is not valid UTF-8", quote(visible(name_))));
      if (name_.size() > longest_name)
        fail(fmt::format("the tensor {} has a name of more than {} bytes", quote(name_), longest_name));
      if (tensors_.size() >= most_tensors) fail(fmt::format("it has more than {} tensors", most_tensors));
      if (!names_.insert(name_).second) fail(fmt::format("it holds the tensor {} twice", quote(name_)));
      tensors_.push_back(std::move(*tensor));
    } else if (makes_tensor(called(&value)) || reaches_storage(at)) {
      fail_global(called(&value));
    }
  }

  /// Functions whose result has numbers though none of its arguments is a storage.
  static bool makes_tensor(std::string_view global) {
    return global.starts_with("torch._utils._rebuild") || global.starts_with("torch._tensor._rebuild") ||
           (global.starts_with("numpy.") && global.ends_with("._reconstruct"));
  }

  /// Arguments of the call, or nothing if `value` is not a call of a global with one of these names.
  template <std::size_t N>
  const pickled* arguments(const pickled& value, const std::array<std::string_view, N>& names) const {
    if (value.is != kind::object) return nullptr;
    const pickled& callee = from_[value.items[0]];
    const bool named = callee.is == kind::global && std::find(names.begin(), names.end(), callee.text) != names.end();
    return named ? &from_[value.items[1]] : nullptr;
  }

  /// The tensor, or nothing if the value is made in another way than plain tensors and parameters are.
  std::optional<described_tensor> describe(const pickled& value) const {
    const pickled* parameter = arguments(value, rebuild_parameter);
    if (parameter != nullptr && parameter->items.empty()) fail_tensor("its parameter has no tensor");
    const pickled* given =
        arguments(parameter != nullptr ? from_[parameter->items[0]] : value, std::array{rebuild_tensor});
    if (given == nullptr) return std::nullopt;
    if (given->items.size() < 4) fail_tensor("it lacks its storage, offset, size or stride");
    const pickled& storage = from_[given->items[0]];
    if (storage.is == kind::object) fail_global(called(&storage));
    if (storage.is != kind::persistent) fail_tensor("it has no storage");
    const pickled& identifier = from_[storage.items[0]];
    const auto part = [&](std::size_t i) -> const pickled& { return from_[identifier.items[i]]; };
    if (identifier.is != kind::tuple || identifier.items.size() != 5 || part(0).text != "storage" ||
        part(1).is != kind::global || part(2).is != kind::text || part(4).is != kind::integer || part(4).integer < 0) {
      fail_tensor("its storage is not described by a type, a key and a number of elements");
    }
    const auto* row = std::find_if(storage_types.begin(), storage_types.end(),
                                   [&](const auto& known) { return known.first == part(1).text; });
    if (row == storage_types.end()) fail_global(part(1).text);
    return described_tensor{name_,
                            part(2).text,
                            row->second,
                            static_cast<std::uint64_t>(part(4).integer),
                            {whole_number(from_[given->items[1]]), whole_numbers(from_[given->items[2]]),
                             whole_numbers(from_[given->items[3]])}};
  }

  std::int64_t whole_number(const pickled& value) const {
    if (value.is != kind::integer || value.integer < 0)
      fail_tensor("its offset, size and stride must be whole numbers, not below 0");
    return value.integer;
  }
  std::vector<std::int64_t> whole_numbers(const pickled& value) const {
    if (value.is != kind::tuple || value.items.size() > deepest)
      fail_tensor("its size and stride must be short tuples");
    std::vector<std::int64_t> numbers;
    for (const place item : value.items) numbers.push_back(whole_number(from_[item]));
    return numbers;
  }

  const pickle& from_;
  std::size_t most_visits_, visits_ = 0;  // a tree has at most one value for each byte
  std::string_view source_;
  std::vector<bool> without_storage_;
  std::string name_;  // of the value that is read
  std::unordered_set<std::string> names_;
  std::vector<described_tensor> tensors_;
};

/// Storages as the file has them, and copies of what was not contiguous in them; addresses stay.
struct tensor_bytes {
  std::map<std::string, byte_vector> storages;
  std::deque<byte_vector> copies;
};

/// Views may repeat what they see, so a small file could ask for endless memory.
class size_limit final {
 public:
  size_limit(std::string what, std::uint64_t limit) : what_(std::move(what)), limit_(limit), left_(limit) {}

  void take(std::uint64_t bytes, std::string_view source) {
    if (bytes > left_) {
      throw user_error(
          fmt::format("cannot read {}: {} have more than {} bytes, out of proportion to the file; save "
                      "contiguous tensors",
                      source, what_, limit_));
    }
    left_ -= bytes;
  }

 private:
  std::string what_;
  std::uint64_t limit_, left_;
};

/// `<root>/`, the folder inside the archive that holds data.pkl.
std::string root_of(const zip_archive& archive, std::string_view source) {
  constexpr std::string_view pickle_name = "data.pkl";
  std::vector<std::string> roots;
  bool script = false;
  for (const std::string& name : archive.names()) {
    const std::size_t slash = name.find('/');
    if (slash == std::string::npos) continue;
    const std::string_view inside = std::string_view(name).substr(slash + 1);
    if (inside == pickle_name) roots.push_back(name.substr(0, slash + 1));
    script = script || inside == "constants.pkl";
  }
  if (script) {
    throw user_error(
        fmt::format("cannot read {}: it is a TorchScript program; load it with torch.jit.load and save its "
                    "state_dict() with torch.save",
                    source));
  }
  if (roots.size() != 1) {
    throw user_error(
        fmt::format("cannot read {}: a zip file of torch.save has one entry <name>/{} and this one has {}; "
                    "give a file that torch.save wrote",
                    source, pickle_name, roots.size()));
  }
  return roots[0];
}

byte_vector entry_of(zip_archive& archive, const std::string& name, std::string_view source) {
  auto bytes = archive.read(name);
  if (bytes) return std::move(*bytes);
  throw user_error(
      fmt::format("cannot read {}: it has no entry {}; the file is truncated or damaged", source, quote(name)));
}

void check_byte_order(zip_archive& archive, const std::string& root, std::string_view source) {
  const auto order = archive.read(root + "byteorder");
  if (!order) return;  // files before PyTorch 2.1 do not say it
  const std::string text(reinterpret_cast<const char*>(order->data()), order->size());
  if (text != "little") {
    throw user_error(
        fmt::format("cannot read {}: its byte order is {} and only 'little' is read; load the file and save "
                    "it again on a little-endian machine",
                    source, quote(text)));
  }
}

}  // namespace

bool is_legacy_torch(std::span<const std::byte> image) {
  constexpr std::string_view magic = "\x80\x02\x8A\x0A\x6C\xFC\x9C\x46\xF9\x20\x6A\xA8\x50\x19.";
  return image.size() >= magic.size() && std::memcmp(image.data(), magic.data(), magic.size()) == 0;
}

tensor_file read_torch_file(const std::filesystem::path& path) {
  const auto file = mapped_file::open(path);
  const std::string source = quote_path(path);
  zip_archive archive(file.bytes(), source);
  const std::string root = root_of(archive, source);
  check_byte_order(archive, root, source);
  const byte_vector pickle_bytes = entry_of(archive, root + "data.pkl", source);
  const pickle described = parse_pickle(pickle_bytes, fmt::format("the data.pkl of {}", source));
  const auto tensors = state_dict_reader(described, pickle_bytes.size(), source).read();
  if (tensors.empty()) {
    throw user_error(
        fmt::format("cannot read {}: its dict holds no tensors; save model.state_dict() with torch.save", source));
  }
  const auto kept = std::make_shared<tensor_bytes>();
  size_limit all("its tensors", 64 * file.bytes().size() + (std::uint64_t{64} << 20U));
  size_limit copied("its tensors that are not contiguous", 8 * file.bytes().size() + (std::uint64_t{64} << 20U));
  tensor_file result{file, "PyTorch", {}, nullptr};
  for (const described_tensor& tensor : tensors) {
    const std::string what = fmt::format("the tensor {} of {}", quote(tensor.name), source);
    const auto [storage, is_new] = kept->storages.try_emplace(tensor.storage);
    if (is_new) storage->second = entry_of(archive, fmt::format("{}data/{}", root, tensor.storage), source);
    const std::size_t element = bytes_of(tensor.type);
    if (tensor.elements > storage->second.size() / element) {
      throw user_error(
          fmt::format("cannot read {}: its storage says {} elements of {} bytes and has {} bytes; the file is "
                      "truncated or damaged",
                      what, tensor.elements, element, storage->second.size()));
    }
    const auto bytes =
        std::span<const std::byte>(storage->second).first(static_cast<std::size_t>(tensor.elements) * element);
    const std::uint64_t size = checked_size(tensor.view, tensor.elements, element, what);
    all.take(size, source);
    auto seen = contiguous_bytes(tensor.view, bytes, element);
    if (!seen) {
      copied.take(size, source);
      seen = kept->copies.emplace_back(row_major_copy(tensor.view, bytes, element));
    }
    result.tensors.push_back({tensor.name, tensor.type, tensor.view.size, *seen});
  }
  result.owner = kept;
  return result;
}

}  // namespace alphaform
