// Every generated page of the documentation, and the pictures that they show.
#include <fmt/core.h>

#include <alphaform/architectures/checkpoint/quote.hpp>
#include <alphaform/architectures/registry.hpp>
#include <alphaform/explain/drawing.hpp>
#include <alphaform/explain/implicit_share.hpp>
#include <alphaform/explain/models_folder.hpp>
#include <alphaform/explain/output/atomic_file.hpp>
#include <alphaform/explain/overview_documents.hpp>
#include <alphaform/explain/printed_miss.hpp>
#include <alphaform/explain/rules_document.hpp>
#include <alphaform/tools/command.hpp>

namespace alphaform::tools {

namespace {

int run(const std::filesystem::path& folder) {
  using file = std::pair<std::string, std::string>;
  std::vector<file> derivations, pictures;
  for (const architecture& a : registry) {
    const std::filesystem::path golden = models_folder() / "golden" / a.name;
    const std::string name(a.name);
    measured_on_golden measured{printed_miss(a), share_on_golden(a), {}};
    if (exists(golden)) {
      const model<float> m(checkpoint::open(golden), cpu_kernels());
      const std::vector<std::int64_t> ids = recorded_ids(checkpoint::open(golden / "reference.safetensors"));
      pictures.emplace_back(name + ".png", attention_picture(m, ids, &a));
      measured.picture = "../pictures/H/" + name + ".png";
    }
    derivations.emplace_back(name + ".md", derivation_document(a, document_format::markdown, measured, true));
  }
  const std::vector<file> pages{{"architectures.md", overview_document(overview_format::markdown)},
                                {"support.md", support_document(overview_format::markdown)},
                                {"rules.md", rules_document(rules_format::markdown, {})}};
  make_directory(folder / "pictures");
  write_files(folder / "derivations", derivations);
  write_files(folder / "pictures" / "H", pictures);
  write_files(folder, pages);
  fmt::print("wrote {} pages and {} pictures to {}\n", derivations.size() + pages.size(), pictures.size(),
             quote_path(folder));
  return 0;
}

}  // namespace

subcommand add_pages(CLI::App& app) {
  static std::string folder;
  CLI::App* c = app.add_subcommand("pages", "Every generated page of the documentation, with its pictures");
  c->add_option("folder", folder, "Where to write them; pages that are there are replaced")->required();
  c->footer("Example: alphaform pages docs");
  return {c, [] { return run(folder); }};
}

}  // namespace alphaform::tools
