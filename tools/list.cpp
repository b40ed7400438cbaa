#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <alphaform/architectures/models/family.hpp>
#include <alphaform/architectures/registry.hpp>
#include <alphaform/tools/command.hpp>
#include <set>

namespace alphaform::tools {

subcommand add_list(CLI::App& app) {
  CLI::App* c = app.add_subcommand("list", "The architectures that can be derived, and the models that can be loaded");
  c->footer("Example: alphaform list");
  return {c, [] {
            std::size_t title = 0;
            for (const architecture& a : registry) title = std::max(title, a.title.size());
            fmt::print("architectures (alphaform derive NAME)\n");
            for (const architecture& a : registry) fmt::print("  {:<16} {:<{}} {}\n", a.name, a.title, title, a.source);
            fmt::print("\nmodels (format, model_type of config.json, mixers)\n");
            for (const family& f : families) {
              std::set<std::string_view> mixers;
              for (const mixer_choice& c : f.mixers) mixers.insert(c.mixer->name);
              fmt::print("  {:<40} {:<16} {}\n", f.name, f.model_type, fmt::join(mixers, ", "));
            }
            return 0;
          }};
}

}  // namespace alphaform::tools
