#include <fmt/core.h>

#include <alphaform/architectures/checkpoint/quote.hpp>
#include <alphaform/architectures/models/families.hpp>
#include <alphaform/architectures/registry.hpp>
#include <alphaform/backends/model/model.hpp>
#include <alphaform/backends/plan/counting.hpp>

namespace alphaform {

namespace {

constexpr auto head_of_x = linear<"weight">(input<"x">) + param<"bias">;

/// The expression's stream for one input called `name`.
template <class T>
tensor<T> evaluated(const expression& e, environment<T> env, std::string name, const tensor<T>& x, const kernels<T>& k,
                    decoding_state<T>* s) {
  env.inputs[std::move(name)] = x;
  return engine<T>(e.g, env, k, s != nullptr ? s->next() : nullptr).value(e.root);
}

template <class T>
void add(const tensor<T>& x, const tensor<T>& y, const kernels<T>& k) {
  if (x.v.of(axis::chan) != y.v.of(axis::chan))
    throw user_error(fmt::format("a block of width {} is added to a stream of width {}: a weight has the wrong shape",
                                 y.v.of(axis::chan), x.v.of(axis::chan)));
  k.plus(x, y, x);
}

std::vector<std::string> labels_of(const nlohmann::json& config, std::size_t count) {
  std::vector<std::string> labels;
  for (std::size_t i = 0; i < count; ++i) {
    const std::string key = std::to_string(i);
    const bool named = config.contains("id2label") && config["id2label"].is_object() &&
                       config["id2label"].contains(key) && config["id2label"][key].is_string();
    labels.push_back(named ? config["id2label"][key].get<std::string>() : "label " + key);
  }
  return labels;
}

}  // namespace

template <class T>
model<T>::model(const checkpoint& file, const kernels<T>& backend)
    : backend_(backend),
      family_(family_of(file)),
      architecture_(find_architecture(family_.mixer)),
      binder_(file, family_),
      formula_(formula_of(architecture_.attention)),
      norm_(family_.norm.of_x),
      output_(architecture_.output),
      last_(family_.last.of_x),
      head_(head_of_x.e) {
  for (const component& c : family_.first) {
    first_.emplace_back(c.of_x);
    first_env_.push_back(binder_.bind(std::array{&c.of_x}, c.prefix, 0));
  }
  for (const component& c : family_.feed) feed_.emplace_back(c.of_x);
  for (const projection& p : architecture_.inputs) inputs_.emplace_back(p.of_u);
  for (std::size_t i = 0; i < layers(); ++i) {
    block b;
    b.norm = binder_.bind(std::array{&family_.norm.of_x}, family_.norm.prefix, i);
    std::vector<const expr*> all{&architecture_.attention, &architecture_.output};
    for (const projection& p : architecture_.inputs) all.push_back(&p.of_u);
    b.mixer = binder_.bind(all, family_.mixer_prefix, i);
    for (const component& c : family_.feed) b.feed.push_back(binder_.bind(std::array{&c.of_x}, c.prefix, i));
    blocks_.push_back(std::move(b));
  }
  last_env_ = binder_.bind(std::array{&family_.last.of_x}, family_.last.prefix, 0);

  const std::string embeddings = binder_.prefix() + std::string(family_.embeddings);
  embeddings_ = binder_.tensor_named(embeddings);
  if (embeddings_.shape.size() != 2)
    throw user_error(fmt::format("'{}' should have the shape [vocabulary, width]", embeddings));
  vocabulary_ = embeddings_.shape[0];
  width_ = embeddings_.shape[1];

  const nlohmann::json& config = file.config();
  head_env_.optional = [](std::string_view name) { return name == "bias"; };
  if (config.contains("classifier") && config["classifier"].is_object() && config["classifier"].contains("weight")) {
    classifier_ = true;
    for (const char* name : {"weight", "bias"}) {
      if (!config["classifier"].contains(name)) continue;
      const nlohmann::json& tensor = config["classifier"][name];
      if (!tensor.is_string())
        throw user_error(
            fmt::format("config.json: classifier.{} should name a tensor, but is {}", name, tensor.dump()));
      head_env_.parameters[name] = binder_.tensor_named(tensor.get<std::string>());
    }
    const parameter<T>& weight = head_env_.parameters["weight"];
    if (weight.shape.size() != 2)
      throw user_error("config.json: classifier.weight should name a matrix [labels, width]");
    labels_ = labels_of(config, weight.shape[0]);
  } else {
    const bool untied = config.contains("tie_word_embeddings") && config["tie_word_embeddings"] == false;
    if (untied && file.find(family_.head) == nullptr)
      throw user_error(fmt::format(
          "{} has no tensor '{}', and config.json says that it is not tied to the embeddings; for a classifier "
          "the config's 'classifier' names its head",
          quote_path(file.path()), family_.head));
    head_env_.parameters["weight"] =
        file.find(family_.head) != nullptr ? binder_.tensor_named(std::string(family_.head)) : embeddings_;
  }

  // One token through kernels that only count: every name and shape is checked, nothing is computed.
  const std::int64_t first_id = 0;
  if (vocabulary_ == 0 || width_ == 0) throw user_error(fmt::format("'{}' is empty", embeddings));
  run(std::span(&first_id, 1), {}, counting_kernels<T>(), nullptr);
}

template <class T>
tensor<T> model<T>::embedded(std::span<const std::int64_t> ids, const kernels<T>& k) const {
  const tensor<T> x = arena<T>(k).make(stream_extents(ids.size(), width_));
  for (std::size_t t = 0; t < ids.size(); ++t) {
    view<const T> row{embeddings_.data + static_cast<std::size_t>(ids[t]) * width_, stream_extents(1, width_), {}};
    row.stride = contiguous(row.size);
    k.copy(row, x.slice(axis::token, t, t + 1));
  }
  return x;
}

template <class T>
environment<T> model<T>::attention_inputs(std::size_t layer, const tensor<T>& u, const kernels<T>& k,
                                          decoding_state<T>* s) const {
  environment<T> env = blocks_[layer].mixer;
  for (std::size_t p = 0; p < inputs_.size(); ++p)
    env.inputs[std::string(architecture_.inputs[p].input)] = evaluated(inputs_[p], blocks_[layer].mixer, "u", u, k, s);
  return env;
}

template <class T>
tensor<T> model<T>::mixed(std::size_t layer, const tensor<T>& u, const kernels<T>& k, decoding_state<T>* s) const {
  const environment<T> env = attention_inputs(layer, u, k, s);
  const tensor<T> y = engine<T>(formula_.g, env, k, s != nullptr ? s->next() : nullptr).value(formula_.output);
  return evaluated(output_, blocks_[layer].mixer, "y", heads_side_by_side(y), k, s);
}

template <class T>
forward_pass<T> model<T>::run(std::span<const std::int64_t> ids, const extent_of_run& extent, const kernels<T>& k,
                              decoding_state<T>* s) const {
  if (s != nullptr) s->rewind();
  const entered<T> on(k);
  forward_pass<T> pass;
  tensor<T> h = embedded(ids, k);
  for (std::size_t f = 0; f < first_.size(); ++f) h = evaluated(first_[f], first_env_[f], "x", h, k, s);
  const tensor<T> half = arena<T>(k).filled(single, T(0.5));
  for (std::size_t i = 0; i < std::min(layers(), extent.layers); ++i) {
    pass.mixer_in.push_back(evaluated(norm_, blocks_[i].norm, "x", h, k, s));
    pass.mixer_out.push_back(mixed(i, pass.mixer_in.back(), k, s));
    add(h, pass.mixer_out.back(), k);
    for (std::size_t f = 0; f < feed_.size(); ++f) add(h, evaluated(feed_[f], blocks_[i].feed[f], "x", h, k, s), k);
    if (binder_.rescale_every() > 0 && (i + 1) % binder_.rescale_every() == 0) k.times(h, half, h);
  }
  using logits = extent_of_run::logits;
  const bool last_only = classifier_ || extent.of == logits::last_token;
  if (last_only) h = h.slice(axis::token, ids.size() - 1, ids.size());
  if (extent.of != logits::none && extent.layers >= layers())
    pass.logits = evaluated(head_, head_env_, "x", evaluated(last_, last_env_, "x", h, k, s), k, s);
  return pass;
}

template <class T>
void model<T>::needs_ids(std::span<const std::int64_t> ids) const {
  if (ids.empty()) throw user_error("the text is empty: a model needs at least one token");
  for (const std::int64_t id : ids)
    if (id < 0 || static_cast<std::size_t>(id) >= vocabulary_)
      throw user_error(fmt::format("token id {} is outside the vocabulary of {} entries (0 to {})", id, vocabulary_,
                                   vocabulary_ - 1));
}

template <class T>
forward_pass<T> model<T>::run(std::span<const std::int64_t> ids, const extent_of_run& extent) const {
  needs_ids(ids);
  return run(ids, extent, backend_, nullptr);
}

template <class T>
forward_pass<T> model<T>::run(std::span<const std::int64_t> ids, decoding_state<T>& state) const {
  needs_ids(ids);
  return run(ids, {}, backend_, &state);
}

template <class T>
void model<T>::needs_layer(std::size_t layer) const {
  if (layer >= layers())
    throw user_error(fmt::format("layer {} was asked for, but the model has layers 0 to {}", layer, layers() - 1));
}

template <class T>
tensor<T> model<T>::mixer(std::size_t layer, const tensor<T>& u) const {
  needs_layer(layer);
  const entered<T> on(backend_);
  return mixed(layer, u, backend_, nullptr);
}

template <class T>
implicit_attention<T> model<T>::attention(std::size_t layer, const tensor<T>& u) const {
  return attention(layer, u, formula_);
}

template <class T>
implicit_attention<T> model<T>::attention(std::size_t layer, const tensor<T>& u, const bound_formula& formula) const {
  needs_layer(layer);
  return implicit_attention<T>(formula, attention_inputs(layer, u, backend_, nullptr), backend_);
}

template <class T>
const environment<T>& model<T>::mixer_parameters(std::size_t layer) const {
  needs_layer(layer);
  return blocks_[layer].mixer;
}

template <class T>
tensor<T> model<T>::stream(std::span<const float> numbers, std::size_t tokens) const {
  return stream_of<T>(numbers, tokens, width_, backend_);
}

template class model<float>;
template class model<double>;

}  // namespace alphaform
