#include <fmt/core.h>

#include <algorithm>
#include <alphaform/architectures/models/families.hpp>
#include <alphaform/architectures/registry.hpp>
#include <alphaform/tools/command.hpp>

namespace alphaform::tools {

subcommand add_list(CLI::App& app) {
  CLI::App* c = app.add_subcommand("list", "The architectures that can be derived, and the models that can be loaded");
  c->footer("Example: alphaform list");
  return {c, [] {
            std::size_t title = 0;
            for (const architecture& a : registry) title = std::max(title, a.title.size());
            fmt::print("architectures (alphaform derive NAME)\n");
            for (const architecture& a : registry) fmt::print("  {:<10} {:<{}} {}\n", a.name, a.title, title, a.source);
            fmt::print("\nmodels (model_type of config.json, or a file of rwkv.cpp)\n");
            for (const family& f : models::families) fmt::print("  {:<10} with the mixer {}\n", f.model_type, f.mixer);
            return 0;
          }};
}

}  // namespace alphaform::tools
