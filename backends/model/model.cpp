// A checkpoint becomes a model: every parameter is bound, every shape checked.
#include <fmt/core.h>

#include <alphaform/architectures/checkpoint/quote.hpp>
#include <alphaform/backends/model/model.hpp>
#include <alphaform/backends/plan/counting.hpp>
#include <limits>

namespace alphaform {

namespace {

constexpr auto affine_of_x = affine<"weight", "bias">(input<"x">);

std::vector<std::string> labels_of(const nlohmann::json& config, std::size_t count) {
  std::vector<std::string> labels;
  for (std::size_t i = 0; i < count; ++i) {
    const std::string key = std::to_string(i);
    const bool named = config.contains("id2label") && config["id2label"].is_object() &&
                       config["id2label"].contains(key) && config["id2label"][key].is_string();
    const bool listed = config.contains("class_names") && config["class_names"].is_array() &&
                        config["class_names"].size() > i && config["class_names"][i].is_string();
    labels.push_back(named    ? config["id2label"][key].get<std::string>()
                     : listed ? config["class_names"][i].get<std::string>()
                              : "label " + key);
  }
  return labels;
}

pooling pooling_of(const nlohmann::json& config) {
  if (!config.is_object() || !config.contains("pooling")) return {};
  const nlohmann::json& p = config["pooling"];
  const nlohmann::json type = p.is_object() && p.contains("type") ? p["type"] : p;
  if (type == "last") return {};
  if (type.is_string() && type.get<std::string>().starts_with("mean")) return {pooling::kind::mean, 0};
  if (type == "token" && p.contains("index") && p["index"].is_number_unsigned())
    return {pooling::kind::token, p["index"].get<std::size_t>()};
  throw user_error(fmt::format("config.json: pooling is {}; known are \"last\", \"mean\" and \"token\" with an index",
                               quote(p.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace))));
}

/// A tensor of shape [rows, numbers] or [1, rows, numbers] and so on.
template <class T>
parameter<T> with_rows(parameter<T> p, std::size_t rows, std::string_view name) {
  std::size_t total = 1;
  for (const std::size_t n : p.shape) total *= n;
  if (rows == 0 || total % rows != 0)
    throw user_error(fmt::format("'{}' should divide into {} rows, but has {} numbers", name, rows, total));
  p.shape = {rows, total / rows};
  return p;
}

}  // namespace

template <class T>
model<T>::model(const checkpoint& file, const kernels<T>& backend)
    : backend_(backend),
      family_(family_of(file)),
      binder_(file, family_, backend),
      patch_(affine_of_x.e),
      head_(affine_of_x.e) {
  bind_blocks();
  bind_input();
  bind_head(file);
  // One token through kernels that only count: every name and shape is checked, nothing is computed.
  const kernels<T>& dry = counting_kernels<T>(backend.has_own_memory);
  const std::int64_t first_id = 0;
  if (features_ == 0)
    run(embedded(text_of(std::span(&first_id, 1), dry), dry), {}, dry, nullptr);
  else
    run(arena<T>(dry).make(stream_extents(1, width_)), {}, dry, nullptr);
  binder_.check_all_read();
}

template <class T>
std::size_t model<T>::kind_of(const architecture& a) {
  for (std::size_t k = 0; k < kinds_.size(); ++k)
    if (kinds_[k]->of == &a) return k;
  auto kind = std::make_unique<mixer_kind>(mixer_kind{&a, formula_of(a.attention), {}, expression(a.output)});
  for (const projection& p : a.inputs) kind->inputs.emplace_back(p.of_u);
  kinds_.push_back(std::move(kind));
  return kinds_.size() - 1;
}

template <class T>
void model<T>::bind_blocks() {
  for (const component& c : family_.first) {
    first_.emplace_back(c.of_x);
    first_env_.push_back(binder_.bind(std::array{&c.of_x}, c.prefix, 0));
  }
  for (const component& c : family_.feed) feed_.emplace_back(c.of_x);
  if (family_.norm.of_x.root != absent) norm_.emplace(family_.norm.of_x);
  for (std::size_t i = 0; i < layers(); ++i) {
    const mixer_choice& choice = binder_.mixer_of(i);
    const architecture& a = *choice.mixer;
    block b;
    b.kind = kind_of(a);
    if (norm_) b.norm = binder_.bind(std::array{&family_.norm.of_x}, family_.norm.prefix, i);
    std::vector<const expr*> all{&a.attention, &a.output};
    for (const projection& p : a.inputs) all.push_back(&p.of_u);
    b.mixer = binder_.bind(all, choice.prefix, i);
    for (const component& c : family_.feed) b.feed.push_back(binder_.bind(std::array{&c.of_x}, c.prefix, i));
    blocks_.push_back(std::move(b));
  }
  last_.emplace(family_.last.of_x);
  last_env_ = binder_.bind(std::array{&family_.last.of_x}, family_.last.prefix, 0);
  if (family_.logits.of_x.root != absent) {
    logits_.emplace(family_.logits.of_x);
    logits_env_ = binder_.bind(std::array{&family_.logits.of_x}, family_.logits.prefix, 0);
  }
}

template <class T>
void model<T>::bind_input() {
  const patches& image = family_.image;
  const std::string name = binder_.prefix() + std::string(image.weight.empty() ? family_.embeddings : image.weight);
  parameter<T> weight = binder_.tensor_named(name);
  if (image.weight.empty()) {
    if (weight.shape.size() != 2) throw user_error(fmt::format("'{}' should have the shape [vocabulary, width]", name));
    embeddings_ = weight;
    vocabulary_ = weight.shape[0];
    if (vocabulary_ > std::size_t{1} << std::numeric_limits<T>::digits)
      throw user_error(
          fmt::format("'{}' has {} rows: more token ids than this precision can number", name, vocabulary_));
    width_ = weight.shape[1];
    return;
  }
  if (weight.shape.size() < 2) throw user_error(fmt::format("'{}' should have the shape [width, ...]", name));
  width_ = weight.shape[0];
  weight = with_rows(weight, width_, name);
  features_ = weight.shape[1];
  patch_env_.parameters["weight"] = weight;
  patch_env_.parameters["bias"] = binder_.tensor_named(binder_.prefix() + std::string(image.bias));
  if (image.class_token.empty()) return;
  class_token_ =
      with_rows(binder_.tensor_named(binder_.prefix() + std::string(image.class_token)), 1, image.class_token);
  positions_ = binder_.tensor_named(binder_.prefix() + std::string(image.positions));
  std::size_t total = 1;
  for (const std::size_t n : positions_.shape) total *= n;
  positions_ = with_rows(positions_, std::max<std::size_t>(total / width_, 1), image.positions);
  if (positions_.shape[1] != width_ || class_token_.shape[1] != width_)
    throw user_error(fmt::format("class token and positions should be {} wide, as the patches are", width_));
}

template <class T>
void model<T>::bind_head(const checkpoint& file) {
  const nlohmann::json& config = file.config();
  const bool named = config.is_object() && config.contains("classifier") && config["classifier"].is_object() &&
                     config["classifier"].contains("weight");
  classifier_ = named || family_.classifies;
  head_env_.optional = [](std::string_view name) { return name == "bias"; };
  if (named) {
    for (const char* name : {"weight", "bias"}) {
      if (!config["classifier"].contains(name)) continue;
      const nlohmann::json& tensor = config["classifier"][name];
      if (!tensor.is_string())
        throw user_error(
            fmt::format("config.json: classifier.{} should name a tensor, but is {}", name, tensor.dump()));
      head_env_.parameters[name] = binder_.tensor_named(tensor.get<std::string>());
    }
  } else {
    const bool untied =
        (config.is_object() && config.contains("tie_word_embeddings") && config["tie_word_embeddings"] == false) ||
        family_.embeddings.empty();
    if (untied && file.find(family_.head) == nullptr)
      throw user_error(fmt::format(
          "{} has no tensor '{}', and config.json says that it is not tied to the embeddings; for a classifier "
          "the config's 'classifier' names its head",
          quote_path(file.path()), family_.head));
    head_env_.parameters["weight"] =
        file.find(family_.head) != nullptr ? binder_.tensor_named(std::string(family_.head)) : embeddings_;
    if (!family_.head_bias.empty() && file.find(family_.head_bias) != nullptr)
      head_env_.parameters["bias"] = binder_.tensor_named(std::string(family_.head_bias));
  }
  if (classifier_) {
    const parameter<T>& weight = head_env_.parameters["weight"];
    if (weight.shape.size() != 2)
      throw user_error("config.json: classifier.weight should name a matrix [labels, width]");
    labels_ = labels_of(config, weight.shape[0]);
    pooling_ = pooling_of(config);
    logits_.reset();  // what a family does to the logits of its vocabulary (a soft cap) is not done to scores
  }
  if ((vocabulary_ == 0 && features_ == 0) || width_ == 0) throw user_error("the model's embeddings are empty");
}

template class model<float>;
template class model<double>;

}  // namespace alphaform
