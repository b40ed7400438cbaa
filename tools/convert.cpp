// Any readable checkpoint as one safetensors file, with its configuration beside it. Everything is decided before the
// first byte is written, and the files are complete before the first of them is in its place.
#include <fmt/core.h>

#include <algorithm>
#include <alphaform/architectures/checkpoint/checkpoint.hpp>
#include <alphaform/architectures/checkpoint/quote.hpp>
#include <alphaform/architectures/checkpoint/safetensors_writer.hpp>
#include <alphaform/architectures/checkpoint/untrusted_json.hpp>
#include <alphaform/error.hpp>
#include <alphaform/explain/output/atomic_file.hpp>
#include <alphaform/tools/command.hpp>
#include <filesystem>
#include <optional>
#include <utility>
#include <vector>

namespace alphaform::tools {
namespace {

namespace fs = std::filesystem;

constexpr const char* config_name = "config.json";

bool same_file(const fs::path& a, const fs::path& b) {
  std::error_code ignored;
  return fs::equivalent(a, b, ignored);
}

fs::path folder_of(const fs::path& file) { return file.has_parent_path() ? file.parent_path() : fs::path("."); }

/// A folder or an index names several files; those in its folder count as read.
bool reads(const fs::path& source, const fs::path& file) {
  if (fs::is_directory(source)) return same_file(source, folder_of(file));
  return same_file(source, file) || (source.extension() == ".json" && same_file(folder_of(source), folder_of(file)));
}

void check_target(const fs::path& source, const fs::path& target, bool overwrite) {
  if (target.extension() != ".safetensors") {
    throw user_error(
        fmt::format("cannot convert to {}: the name of a safetensors file ends in .safetensors; give such a name",
                    quote_path(target)));
  }
  if (!fs::exists(target)) return;
  if (fs::is_directory(target)) {
    throw user_error(fmt::format("cannot convert to {}: it is a folder; give the name of a file", quote_path(target)));
  }
  if (reads(source, target)) {
    throw user_error(fmt::format("cannot convert {} to {}: this file may be part of what is read; give another name",
                                 quote_path(source), quote_path(target)));
  }
  if (!overwrite) {
    throw user_error(fmt::format(
        "cannot convert to {}: the file exists; give another name, or --overwrite to replace it", quote_path(target)));
  }
}

/// The configuration to write beside the target, or nothing if there is none or the same is there.
std::optional<std::string> new_config(const checkpoint& source, const fs::path& target) {
  if (source.config().is_null()) return std::nullopt;
  const fs::path place = folder_of(target) / config_name;
  if (!fs::exists(place)) return source.config().dump(2) + "\n";
  if (read_python_json(place) == source.config()) return std::nullopt;
  throw user_error(
      fmt::format("cannot convert to {}: {} lies beside it and says something else than the configuration of "
                  "{}; choose another folder",
                  quote_path(target), quote_path(place), quote_path(source.path())));
}

std::string safetensors_of(const checkpoint& source) {
  std::size_t size = 0;
  for (const stored_tensor& t : source.tensors()) size += t.bytes.size() + t.name.size() + 128;
  std::string bytes;
  bytes.reserve(size);
  write_safetensors(source.tensors(), {{"format", "pt"}}, [&bytes](std::span<const std::byte> next) {
    bytes.append(reinterpret_cast<const char*>(next.data()), next.size());
  });
  return bytes;
}

int convert(const fs::path& from, const fs::path& target, bool overwrite) {
  check_target(from, target, overwrite);
  const checkpoint source = checkpoint::open(from);
  auto config = new_config(source, target);
  std::vector<std::pair<std::string, std::string>> files;
  files.emplace_back(target.filename().string(), safetensors_of(source));
  const double size = static_cast<double>(files[0].second.size()) / (1 << 20);
  if (config) files.emplace_back(config_name, std::move(*config));
  write_files(folder_of(target), files);
  const auto quantised = std::count_if(source.tensors().begin(), source.tensors().end(),
                                       [](const stored_tensor& t) { return block_of(t.type).elements != 1; });
  fmt::print("{}: {} tensors, {:.1f} MiB, from {} ({})\n", quote_path(target), source.tensors().size(), size,
             quote_path(from), source.format());
  if (quantised > 0) fmt::print("{} quantised tensors became f32\n", quantised);
  if (files.size() > 1) fmt::print("{}: the configuration\n", quote_path(folder_of(target) / config_name));
  return 0;
}

}  // namespace

subcommand add_convert(CLI::App& app) {
  static std::string from, target;
  static bool overwrite = false;
  CLI::App* c = app.add_subcommand("convert", "Any readable checkpoint as one safetensors file");
  c->add_option(
       "model", from,
       "A PyTorch file (.pth, .pt, .bin), an rwkv.cpp .bin file, a .safetensors file, an index of shards, or a "
       "folder with one of them")
      ->required();
  c->add_option("output", target, "The .safetensors file to write; a configuration goes into config.json beside it")
      ->required();
  c->add_flag("--overwrite", overwrite, "Replace the output if it exists");
  c->footer("Example: alphaform convert model.pth converted/model.safetensors");
  return {c, [] { return convert(from, target, overwrite); }};
}

}  // namespace alphaform::tools
