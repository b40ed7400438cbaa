// alphaform classify: what a classifier of images says of every image of a file, computed on all cores.
#include <fmt/core.h>
#include <unistd.h>

#include <alphaform/architectures/checkpoint/quote.hpp>
#include <alphaform/architectures/images/image_input.hpp>
#include <alphaform/backends/model/model.hpp>
#include <alphaform/backends/parallel.hpp>
#include <alphaform/explain/output/json.hpp>
#include <alphaform/explain/output/utf8.hpp>
#include <alphaform/tools/command.hpp>
#include <alphaform/tools/device.hpp>
#include <alphaform/tools/input.hpp>
#include <atomic>
#include <cmath>

namespace alphaform::tools {

namespace {

struct classify_options final {
  std::string model, images;
  std::optional<std::string> labels;
  std::optional<std::size_t> first;
  bool json = false;
};

struct verdict final {
  std::size_t label = 0;
  double probability = 0;
};

/// The largest of the scores [1, labels] and its part of their softmax.
verdict of_scores(std::span<const float> scores) {
  verdict v;
  for (std::size_t k = 0; k < scores.size(); ++k) {
    if (!std::isfinite(scores[k]))
      throw user_error("the scores are not finite numbers: the model's weights cannot be right");
    if (scores[k] > scores[v.label]) v.label = k;
  }
  double sum = 0;
  for (const float s : scores) sum += std::exp(static_cast<double>(s) - static_cast<double>(scores[v.label]));
  v.probability = 1 / sum;
  return v;
}

verdict verdict_of(const model<float>& m, const image_input& as, const images& all, std::size_t index) {
  const std::vector<float> values = values_of(as, all, index);
  const forward_pass<float> pass =
      m.run(stream_of(std::span(values), values.size() / as.features(), as.features(), m.backend()));
  return of_scores(numbers_of(pass.logits));
}

/// "1200 of 10000" on a terminal, rewritten in place; nothing elsewhere.
class progress final {
 public:
  explicit progress(std::size_t of) : of_(of), shown_(isatty(STDERR_FILENO) == 1) {}
  ~progress() {
    if (shown_) fmt::print(stderr, "\r{:40}\r", "");
  }
  progress(const progress&) = delete;
  progress& operator=(const progress&) = delete;
  void done(std::size_t count) const {
    constexpr std::size_t step = 50;
    if (shown_ && count % step == 0) fmt::print(stderr, "\r{} of {} images", count, of_);
  }

 private:
  std::size_t of_;
  bool shown_;
};

/// The first `count` images, each by whichever thread is free.
std::vector<verdict> verdicts_of(const model<float>& m, const image_input& as, const images& all, std::size_t count) {
  std::vector<verdict> verdicts(count);
  std::atomic<std::size_t> finished = 0;
  const progress shown(count);
  parallel(count, [&](std::size_t i) {
    verdicts[i] = verdict_of(m, as, all, i);
    shown.done(++finished);
  });
  return verdicts;
}

std::vector<std::uint8_t> labels_of(const std::string& path, std::size_t images, std::size_t known) {
  std::vector<std::uint8_t> labels = read_labels(path);
  if (labels.size() != images)
    throw user_error(fmt::format("{} has {} labels, but there are {} images: they belong to other images",
                                 quote_path(path), labels.size(), images));
  for (const std::uint8_t label : labels)
    if (label >= known)
      throw user_error(
          fmt::format("{} has the label {}, but the model knows labels 0 to {}", quote_path(path), label, known - 1));
  return labels;
}

void print_json(const model<float>& m, std::span<const verdict> verdicts, std::span<const std::uint8_t> truth,
                std::size_t right) {
  nlohmann::json j{{"model_type", m.of().model_type}, {"device", m.backend().name}, {"images", verdicts.size()}};
  for (std::size_t i = 0; i < verdicts.size(); ++i) {
    const verdict& v = verdicts[i];
    nlohmann::json one{{"index", v.label}, {"label", m.labels()[v.label]}, {"probability", v.probability}};
    if (!truth.empty()) one["true_index"] = truth[i];
    j["predicted"].push_back(std::move(one));
  }
  if (!truth.empty()) {
    j["right"] = right;
    j["accuracy"] = static_cast<double>(right) / static_cast<double>(verdicts.size());
  }
  write_or_print({}, json_text(j));
}

void print_text(const model<float>& m, std::span<const verdict> verdicts, std::span<const std::uint8_t> truth,
                std::size_t right) {
  constexpr std::size_t few = 20;  // with labels the count is what is asked for
  for (std::size_t i = 0; i < verdicts.size() && (truth.empty() || verdicts.size() <= few); ++i) {
    const verdict& v = verdicts[i];
    const bool wrong = !truth.empty() && truth[i] != v.label;
    fmt::print("{:>6}  {:>6.2f} %  {}{}\n", i, 100 * v.probability, visible_text(m.labels()[v.label]),
               wrong ? fmt::format(" (wrong: {})", visible_text(m.labels()[truth[i]])) : "");
  }
  if (!truth.empty())
    fmt::print("{} of {} right, {:.2f} %\n", right, verdicts.size(),
               100 * static_cast<double>(right) / static_cast<double>(verdicts.size()));
}

int run(const classify_options& o) {
  const checkpoint file = checkpoint::open(o.model);
  const model<float> m(file, device());
  if (m.features() == 0 || m.labels().empty())
    throw user_error(fmt::format("{} is no classifier of images; 'explain' says what a model does with a text",
                                 quote_path(file.path())));
  const image_input as = image_input_of(file, m.features());
  const images all = read_images(o.images);
  std::vector<std::uint8_t> truth;
  if (o.labels) truth = labels_of(*o.labels, all.count, m.labels().size());
  const std::size_t count = std::min(o.first.value_or(all.count), all.count);
  truth.resize(std::min(truth.size(), count));
  const std::vector<verdict> verdicts = verdicts_of(m, as, all, count);
  std::size_t right = 0;
  for (std::size_t i = 0; i < truth.size(); ++i) right += truth[i] == verdicts[i].label;
  (o.json ? print_json : print_text)(m, verdicts, truth, right);
  return 0;
}

}  // namespace

subcommand add_classify(CLI::App& app) {
  static classify_options o;
  CLI::App* c =
      app.add_subcommand("classify", "What a classifier of images says of each image, and how often it is right");
  c->add_option("model", o.model, "A checkpoint: file or folder")->required();
  c->add_option("images", o.images, "An IDX file (idx3-ubyte, plain or .gz) or a PNG picture")->required();
  c->add_option("--labels", o.labels, "The true labels, an IDX file (idx1-ubyte): counts the right ones");
  c->add_option("--first", o.first, "Only the first so many images")->check(CLI::PositiveNumber);
  c->add_flag("--json", o.json, "Print JSON");
  c->footer("Example: alphaform classify models/vim t10k-images-idx3-ubyte.gz --labels t10k-labels-idx1-ubyte.gz");
  return {c, [] { return run(o); }};
}

}  // namespace alphaform::tools
