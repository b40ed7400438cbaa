#include <fmt/core.h>
#include <fmt/ranges.h>

#include <alphaform/architectures/checkpoint/checkpoint.hpp>
#include <alphaform/architectures/checkpoint/quote.hpp>
#include <alphaform/tools/command.hpp>

namespace alphaform::tools {

subcommand add_inspect(CLI::App& app) {
  static std::string path;
  CLI::App* c = app.add_subcommand("inspect", "What is in a checkpoint: format, configuration, tensors");
  c->add_option("model", path, "A .safetensors file, a folder with one, an index of shards, or an rwkv.cpp .bin file")
      ->required();
  c->footer("Example: alphaform inspect models/sentiment");
  return {c, [] {
            const checkpoint file = checkpoint::open(path);
            std::size_t numbers = 0, bytes = 0, widest = 4;
            for (const stored_tensor& t : file.tensors()) {
              numbers += element_count(t);
              bytes += t.bytes.size();
              widest = std::max(widest, quote(t.name).size());
            }
            fmt::print("{}: {}, {} tensors, {} numbers, {:.1f} MiB\n", quote_path(file.path()), file.format(),
                       file.tensors().size(), numbers, static_cast<double>(bytes) / (1 << 20));
            if (file.config().is_object())
              for (const auto& [key, value] : file.config().items())
                if (value.is_number() || value.is_string() || value.is_boolean())
                  fmt::print("  {} = {}\n", quote(key),
                             value.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace));
            fmt::print("\n{:<{}}  {:<5} shape\n", "name", widest, "type");
            for (const stored_tensor& t : file.tensors())
              fmt::print("{:<{}}  {:<5} [{}]\n", quote(t.name), widest, name_of(t.type), fmt::join(t.shape, ", "));
            return 0;
          }};
}

}  // namespace alphaform::tools
