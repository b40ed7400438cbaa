// What works for each architecture, measured where it can be: the golden models are verified while the page is written.
#include <fmt/core.h>

#include <alphaform/architectures/models/family.hpp>
#include <alphaform/architectures/registry.hpp>
#include <alphaform/explain/document/blocks.hpp>
#include <alphaform/explain/models_folder.hpp>
#include <alphaform/explain/overview_documents.hpp>
#include <alphaform/explain/verify.hpp>

namespace alphaform {
namespace {

using namespace documents;

line words(std::string_view text) { return {{std::string(text)}}; }

std::string derivatives_of(const architecture& a) {
  std::size_t known = 0;
  for (const projection& p : a.inputs) known += jacobian(a.attention, p.input).refused == absent ? 1 : 0;
  return known == a.inputs.size() ? fmt::format("all {} inputs", known)
                                  : fmt::format("{} of {} inputs", known, a.inputs.size());
}

/// Why the mixer cannot be run token by token; empty if it can.
std::string needs_whole_text(const architecture& a) {
  const term_view y = a.attention;
  for (const node_index i : parts_of(y))
    if (one_of<terms::reverse, terms::permute, terms::every_token, terms::over_tokens, terms::adjoint>(y[i].term))
      return fmt::format("{} needs the whole text", term_table[y[i].term].name);
  return {};
}

std::string formats_of(const architecture& a) {
  std::string names;
  for (const family& f : families)
    for (const mixer_choice& c : f.mixers)
      if (c.mixer->name == a.name) {
        names += (names.empty() ? "" : "; ") + std::string(f.name);
        break;
      }
  return names;
}

/// The folder of the architecture's model with a record, within models/; empty if there is none.
std::string folder_of(const architecture& a) {
  for (const std::string& folder : {"golden/" + std::string(a.name), std::string(a.name)})
    if (exists(models_folder() / folder / "reference.safetensors")) return folder;
  return {};
}

/// The largest error of the golden model's logits and mixers, as a part of the recorded scale.
struct golden_error final {
  double logits = 0, mixers = 0, identity = 0;
};
golden_error error_of(const std::filesystem::path& folder) {
  const checkpoint file = checkpoint::open(folder);
  const model<float> m(file, cpu_kernels());
  golden_error e;
  for (const check& c : record_checks(m, checkpoint::open(folder / "reference.safetensors"))) {
    if (!c.skipped.empty() || c.scale <= 0) continue;
    double& worst = c.name == "logits" ? e.logits : c.name.starts_with("mixer_out") ? e.mixers : e.identity;
    worst = std::max(worst, c.max_abs / c.scale);
  }
  return e;
}

std::vector<block> composed() {
  std::vector<block> blocks{{block_kind::title, {{"What works"}}, {}}};
  const auto say = [&blocks](std::string_view text) { blocks.push_back({block_kind::paragraph, words(text), {}}); };
  say("Every registered architecture, and what can be done with it. Backends: reference is sequential, in double; cpu "
      "and cuda, where alphaform was built with it, work in float32, and what is measured here is the cpu's. Formats "
      "are those that can be loaded; none means that the architecture is declared and may be evaluated with parameters "
      "of one's own, but has no published checkpoint format that is known here. Evidence is a model in models/ with a "
      "record of what another implementation computes, or loops over tokens, channels and state entries that share "
      "nothing with the declaration (tests/conformance). Errors are the largest difference to the record over its "
      "largest magnitude, in float32; identity is y against H x + r and against rows of H.");
  std::vector<std::vector<line>> rows{{words("Architecture"), words("Derived"), words("Derivative"), words("Backends"),
                                       words("Token by token"), words("Formats"), words("Evidence"), words("Logits"),
                                       words("Mixers"), words("Identity")}};
  std::vector<std::vector<line>> missing{{words("Architecture"), words("What does not work"), words("Reason")}};
  for (const architecture& a : registry) {
    const derivation d = derive(a.attention);
    const std::string whole = needs_whole_text(a), formats = formats_of(a);
    const std::string folder = folder_of(a);
    const golden_error e = folder.empty() ? golden_error{} : error_of(models_folder() / folder);
    const auto number = [&](double golden_error::*which) { return words(folder.empty() ? "" : miss_text(e.*which)); };
    rows.push_back({words(a.name), words(d.refused == absent ? "yes" : "refused"), words(derivatives_of(a)),
                    words("reference, cpu, cuda"), words(whole.empty() ? "yes" : "no"),
                    words(formats.empty() ? "none" : formats), words(folder.empty() ? "loops" : folder),
                    number(&golden_error::logits), number(&golden_error::mixers), number(&golden_error::identity)});
    if (!whole.empty()) missing.push_back({words(a.name), words("recurrent decoding"), words(whole)});
    if (formats.empty())
      missing.push_back({words(a.name), words("loading a checkpoint"), words("declared, without a loader")});
  }
  blocks.push_back({block_kind::table, {}, std::move(rows)});
  blocks.push_back({block_kind::heading, words("What does not"), {}});
  blocks.push_back({block_kind::table, {}, std::move(missing)});
  return blocks;
}

}  // namespace

std::string support_document(overview_format format) {
  return format == overview_format::markdown ? write_markdown(composed()) : write_text(composed());
}

}  // namespace alphaform
