#include <fmt/core.h>

#include <alphaform/architectures/checkpoint/quote.hpp>
#include <alphaform/architectures/images/image_input.hpp>
#include <alphaform/explain/implicit_share.hpp>
#include <alphaform/explain/output/json.hpp>
#include <alphaform/explain/verify.hpp>
#include <alphaform/tools/command.hpp>
#include <alphaform/tools/device.hpp>
#include <alphaform/tools/input.hpp>
#include <cstring>
#include <fstream>

namespace alphaform::tools {

namespace {

struct verify_options final {
  std::string model, dtype = "f32";
  std::optional<std::string> reference, ids, logits;
  bool json = false, jacobian = false;
};

std::vector<float> raw_floats(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(in), {}};
  if (!in || bytes.empty() || bytes.size() % sizeof(float) != 0)
    throw user_error(
        fmt::format("cannot read {} as raw float32 numbers: it is missing, empty or not a multiple of 4 bytes long",
                    quote_path(path)));
  std::vector<float> numbers(bytes.size() / sizeof(float));
  std::memcpy(numbers.data(), bytes.data(), bytes.size());
  return numbers;
}

/// A number below `bound` for each k: the same every time, spread over all of them.
std::size_t spread(std::size_t k, std::size_t bound) { return (k * 2654435761u + 17) % bound; }

/// Ids for a model of which nothing is recorded.
std::vector<std::int64_t> some_ids(std::size_t vocabulary) {
  std::vector<std::int64_t> ids;
  for (std::size_t k = 0; k < 48; ++k) ids.push_back(static_cast<std::int64_t>(spread(k, vocabulary)));
  return ids;
}

/// The values of an image of noise.
template <class T>
tensor<T> some_values(const checkpoint& file, const model<T>& m) {
  const image_input as = image_input_of(file, m.features());
  images noise{1, as.shape, std::vector<std::uint8_t>(as.shape.samples())};
  for (std::size_t k = 0; k < noise.samples.size(); ++k) noise.samples[k] = static_cast<std::uint8_t>(spread(k, 251));
  const std::vector<float> values = values_of(as, noise, 0);
  return stream_of(std::span(values), values.size() / m.features(), m.features(), m.backend());
}

check skipped(std::string name, std::string reason) {
  check c;
  c.name = std::move(name);
  c.skipped = std::move(reason);
  return c;
}

/// Ids on which the true derivative is measured: those of the record, of the request, or some.
std::vector<std::int64_t> ids_of(const std::filesystem::path& record, const verify_options& o, std::size_t vocabulary) {
  if (o.ids) return parse_ids(*o.ids);
  if (!exists(record)) return some_ids(vocabulary);
  return recorded_ids(checkpoint::open(record));
}

std::filesystem::path record_of(const checkpoint& file, const verify_options& o) {
  if (o.reference) return *o.reference;
  return (is_directory(file.path()) ? file.path() : file.path().parent_path()) / "reference.safetensors";
}

template <class T>
std::vector<check> checks_of(const checkpoint& file, const model<T>& m, const verify_options& o) {
  if (o.logits) {
    if (!o.ids) throw user_error("--logits needs --ids: the tokens after which these are the logits");
    const std::vector<std::int64_t> ids = parse_ids(*o.ids);
    return logit_checks(m, std::span<const std::int64_t>(ids), std::span<const float>(raw_floats(*o.logits)));
  }
  const std::filesystem::path record = record_of(file, o);
  if (!o.ids && (o.reference || exists(record))) return record_checks(m, checkpoint::open(record));
  std::vector<check> checks{
      skipped("logits", "no record: give --reference, or put reference.safetensors beside the model")};
  for (std::size_t i = 0; i < m.layers(); ++i)
    checks.push_back(skipped(fmt::format("mixer_out.{}", i), checks.front().skipped));
  std::vector<check> identities;
  if (m.features() != 0 && !o.ids) {
    identities = identity_checks(m, some_values(file, m));
  } else {
    const std::vector<std::int64_t> ids = o.ids ? parse_ids(*o.ids) : some_ids(m.vocabulary());
    identities = identity_checks(m, std::span<const std::int64_t>(ids));
  }
  for (check& c : identities) checks.push_back(std::move(c));
  return checks;
}

template <class T>
int run(const verify_options& o, const kernels<T>& backend) {
  const checkpoint file = checkpoint::open(o.model);
  const model<T> m(file, backend);
  if (o.jacobian && m.features() != 0)
    throw user_error("--jacobian measures on token ids, but this model reads images; leave the option out");
  const std::vector<check> checks = checks_of(file, m, o);
  std::vector<implicit_share> shares;
  if (o.jacobian)
    shares = implicit_shares(m, std::span<const std::int64_t>(ids_of(record_of(file, o), o, m.vocabulary())));
  std::size_t passed = 0, failed = 0, left = 0;
  for (const check& c : checks) ++(!c.skipped.empty() ? left : c.pass ? passed : failed);
  if (o.json) {
    nlohmann::json all{{"model_type", m.of().model_type},
                       {"device", backend.name},
                       {"checks", to_json(checks)},
                       {"passed", passed},
                       {"failed", failed},
                       {"skipped", left}};
    for (const implicit_share& s : shares)
      all["implicit_share"].push_back({{"carried", s.carried}, {"cosine", s.cosine}});
    write_or_print({}, json_text(all));
  } else {
    fmt::print("{} ({}), {}\n", quote_path(file.path()), m.of().model_type, backend.name);
    fmt::print("{:<24} {:>10} {:>10} {:>10} {:>10}\n", "check", "max error", "scale", "relative", "tolerance");
    for (const check& c : checks) {
      if (!c.skipped.empty())
        fmt::print("{:<24} skipped: {}\n", c.name, c.skipped);
      else
        fmt::print("{:<24} {:>10.2e} {:>10.2e} {:>10.2e} {:>10.0e}  {}\n", c.name, c.max_abs, c.scale,
                   c.scale > 0 ? c.max_abs / c.scale : c.max_abs, c.tolerance, c.pass ? "pass" : "FAIL");
    }
    fmt::print("{} passed, {} failed, {} skipped\n", passed, failed, left);
    if (!shares.empty()) fmt::print("\nof the true derivative J of each mixer, the implicit attention H carries\n");
    for (std::size_t i = 0; i < shares.size(); ++i)
      fmt::print("layer {:<4} <H v, J v> / |J v|^2 = {:.3f}   cosine {:.3f}\n", i, shares[i].carried, shares[i].cosine);
  }
  return failed == 0 ? 0 : 1;
}

}  // namespace

subcommand add_verify(CLI::App& app) {
  static verify_options o;
  CLI::App* c =
      app.add_subcommand("verify", "Checks a model: logits, mixers, and the identity y = H x + r of every layer");
  c->add_option("model", o.model, "A checkpoint: file or folder")->required();
  CLI::Option* reference =
      c->add_option("--reference", o.reference,
                    "What another implementation computed (default: reference.safetensors beside the model)");
  c->add_option("--dtype", o.dtype, "f32 (fast) or f64 (sequential, in double)")->check(CLI::IsMember({"f32", "f64"}));
  c->add_option("--ids", o.ids, "Token ids to check the identity on, or those of --logits, such as 34,105,110")
      ->excludes(reference);
  c->add_option("--logits", o.logits, "Raw float32 logits after the last of --ids")->excludes(reference);
  c->add_flag("--jacobian", o.jacobian,
              "Also how much of each mixer's true derivative the implicit attention carries, on the same tokens");
  c->add_flag("--json", o.json, "Print JSON");
  c->footer(
      "Example: alphaform verify models/golden/mamba --dtype f64\n"
      "         alphaform verify rwkv-4.bin --ids 34,105,110 --logits expected.bin\n"
      "Exit status 0 only if no check failed.");
  return {c, [] {
            if (o.dtype != "f64") return run<float>(o, device());
            if (device().has_own_memory)
              throw user_error("f64 is computed on the CPU only; leave --device out, or take --dtype f32");
            return run<double>(o, reference_kernels());
          }};
}

}  // namespace alphaform::tools
