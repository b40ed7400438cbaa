// What a model computes: whole texts, texts that continue others, stretches, and single layers.
#include <fmt/core.h>

#include <alphaform/backends/model/model.hpp>
#include <alphaform/backends/model/sum.hpp>
#include <alphaform/backends/plan/counting.hpp>

namespace alphaform {

namespace {

/// The expression's stream for one input called `name`.
template <class T>
tensor<T> evaluated(const expression& e, environment<T> env, std::string name, const tensor<T>& x, const kernels<T>& k,
                    text_state<T>* s) {
  env.inputs[std::move(name)] = x;
  return engine<T>(e.g, env, k, handed_on_by(s)).value(e.root);
}
template <class T>
tensor<T> evaluated(const std::optional<expression>& e, const environment<T>& env, const tensor<T>& x,
                    const kernels<T>& k, text_state<T>* s) {
  return e ? evaluated(*e, env, "x", x, k, s) : x;
}

}  // namespace

template <class T>
const architecture& model<T>::mixer_architecture(std::size_t layer) const {
  needs_layer(layer);
  return *kinds_[blocks_[layer].kind]->of;
}

template <class T>
view<const T> model<T>::rows_of(const parameter<T>& p, std::size_t rows) const {
  const extents size = stream_extents(rows, width_);
  return {p.for_kernels(), size, contiguous(size)};
}

template <class T>
stored_text<T> model<T>::text_of(std::span<const std::int64_t> ids, const kernels<T>& k) const {
  stored_text<T> text;
  text.ids_ = stored(std::vector<T>(ids.begin(), ids.end()), stream_extents(ids.size(), 1), k);
  text.vocabulary_ = vocabulary_;
  return text;
}

template <class T>
void model<T>::needs_text(const stored_text<T>& text, const kernels<T>& k) const {
  if (text.vocabulary_ != vocabulary_ || features_ != 0)
    throw user_error(
        fmt::format("this text was stored for a model with a vocabulary of {} entries, but this one has {}",
                    text.vocabulary_, vocabulary_));
  if (text.ids_.home != (k.has_own_memory ? &k : nullptr))
    throw user_error(fmt::format("this text was stored for another backend than this model's, which is {}", k.name));
}

template <class T>
tensor<T> model<T>::embedded(const stored_text<T>& text, const kernels<T>& k) const {
  needs_text(text, k);
  const tensor<T> x = arena<T>(k).make(stream_extents(text.tokens(), width_));
  k.gather(text.ids_, rows_of(embeddings_, vocabulary_), x);
  return x;
}

template <class T>
tensor<T> model<T>::embedded(const tensor<T>& values, const kernels<T>& k) const {
  if (features_ == 0) throw user_error("this model reads token ids, not values");
  if (values.v.size != stream_extents(values.v.of(axis::token), features_))
    throw user_error(fmt::format("this model reads {} values a token, but was given {}", features_,
                                 volume(values.v.size) / values.v.of(axis::token)));
  const tensor<T> x = evaluated(patch_, patch_env_, "x", values, k, static_cast<text_state<T>*>(nullptr));
  if (class_token_.data == nullptr) return x;
  const std::size_t tokens = values.v.of(axis::token) + 1, place = *class_token(tokens);
  if (positions_.shape[0] != tokens || place >= tokens)
    throw user_error(fmt::format("this model has positions for {} tokens, but the image makes {} with its class token",
                                 positions_.shape[0], tokens));
  const tensor<T> y = arena<T>(k).make(stream_extents(tokens, width_));
  if (place > 0) k.copy(x.slice(axis::token, 0, place), y.slice(axis::token, 0, place));
  k.copy(rows_of(class_token_, 1), y.slice(axis::token, place, place + 1));
  if (place + 1 < tokens) k.copy(x.slice(axis::token, place, tokens - 1), y.slice(axis::token, place + 1, tokens));
  k.plus(y, rows_of(positions_, tokens), y);
  return y;
}

template <class T>
std::optional<std::size_t> model<T>::class_token(std::size_t tokens) const {
  if (class_token_.data == nullptr) return std::nullopt;
  return pooling_.is == pooling::kind::token ? pooling_.token : tokens / 2;
}

template <class T>
tensor<T> model<T>::pooled(const tensor<T>& h, const kernels<T>& k) const {
  const std::size_t tokens = h.v.of(axis::token);
  if (pooling_.is == pooling::kind::mean) {
    const tensor<T> y = arena<T>(k).filled(stream_extents(1, width_), 0);
    k.total(T(1) / static_cast<T>(tokens), false, h, y);
    return y;
  }
  const std::size_t t = pooling_.is == pooling::kind::token ? std::min(pooling_.token, tokens - 1) : tokens - 1;
  return h.slice(axis::token, t, t + 1);
}

template <class T>
environment<T> model<T>::attention_inputs(std::size_t layer, const tensor<T>& u, const shared_streams<T>& shared,
                                          const kernels<T>& k, text_state<T>* s) const {
  const mixer_kind& kind = *kinds_[blocks_[layer].kind];
  const environment<T>& parameters = blocks_[layer].mixer;
  environment<T> env = parameters;
  for (std::size_t p = 0; p < kind.inputs.size(); ++p) {
    const projection& of = kind.of->inputs[p];
    env.inputs[std::string(of.input)] =
        stored_whole(evaluated(kind.inputs[p], parameters, "u", u, k, s), of.of_u.top().to, parameters.lengths, k);
  }
  for (const shared_input& other : kind.of->shared) {
    const auto found = shared.find(other.of_first);
    if (found == shared.end())
      throw user_error(
          fmt::format("the mixer of layer {} also reads '{}' of the first layer: it needs what model::shared "
                      "makes of the first layer's mixer input",
                      layer, other.of_first));
    env.inputs[std::string(other.input)] = found->second;
  }
  return env;
}

template <class T>
shared_streams<T> model<T>::shared_of(const environment<T>& first) const {
  shared_streams<T> shared;
  for (const auto& kind : kinds_)
    for (const shared_input& other : kind->of->shared)
      if (const auto found = first.inputs.find(other.of_first); found != first.inputs.end())
        shared[std::string(other.of_first)] = found->second;
  return shared;
}

template <class T>
shared_streams<T> model<T>::shared(const tensor<T>& u) const {
  const entered<T> on(backend_);
  if (!kinds_[blocks_[0].kind]->of->shared.empty()) return {};
  return shared_of(attention_inputs(0, u, {}, backend_, nullptr));
}

/// What the attention of a layer makes of its inputs, before the last projection.
template <class T>
tensor<T> model<T>::attended(std::size_t layer, const environment<T>& inputs, const kernels<T>& k,
                             text_state<T>* s) const {
  const bound_formula& f = kinds_[blocks_[layer].kind]->formula;
  engine<T> e(f.g, inputs, k, handed_on_by(s));
  return beside(layer, inputs, e.value(f.output), k);
}
/// All heads of y in one axis.
template <class T>
tensor<T> model<T>::beside(std::size_t layer, const environment<T>& inputs, const tensor<T>& y,
                           const kernels<T>& k) const {
  const bound_formula& f = kinds_[blocks_[layer].kind]->formula;
  return heads_side_by_side(stored_whole(y, f.g[f.output].to, inputs.lengths, k));
}

template <class T>
tensor<T> model<T>::projected(std::size_t layer, const tensor<T>& y, const kernels<T>& k, text_state<T>* s) const {
  return evaluated(kinds_[blocks_[layer].kind]->output, blocks_[layer].mixer, "y", y, k, s);
}

template <class T>
tensor<T> model<T>::before_layers(tensor<T> h, const kernels<T>& k, text_state<T>* s) const {
  for (std::size_t f = 0; f < first_.size(); ++f) h = evaluated(first_[f], first_env_[f], "x", h, k, s);
  return h;
}

/// Streams are released as soon as nothing needs them.
template <class T>
typename model<T>::layer_step model<T>::after_layer(std::size_t i, const tensor<T>& before, shared_streams<T>& shared,
                                                    const kernels<T>& k, text_state<T>* s, bool keeps_mixer_in,
                                                    std::unique_ptr<implicit_attention<T>>* attention) const {
  layer_step step;
  step.mixer_in = evaluated(norm_, blocks_[i].norm, before, k, s);
  tensor<T> y;
  {
    const environment<T> inputs = attention_inputs(i, step.mixer_in, shared, k, s);
    if (i == 0) shared = shared_of(inputs);
    if (!keeps_mixer_in) step.mixer_in = {};
    if (attention == nullptr) {
      y = attended(i, inputs, k, s);
    } else {
      *attention =
          std::make_unique<implicit_attention<T>>(kinds_[blocks_[i].kind]->formula, inputs, k, handed_on_by(s));
      y = beside(i, inputs, (*attention)->output(), k);
    }
  }
  step.mixer_out = projected(i, y, k, s);
  y = {};
  step.h = family_.residual ? sum(before, step.mixer_out, k) : step.mixer_out;
  for (std::size_t f = 0; f < feed_.size(); ++f)
    step.h = sum(step.h, evaluated(feed_[f], blocks_[i].feed[f], "x", step.h, k, s), k);
  if (binder_.rescale_every() > 0 && (i + 1) % binder_.rescale_every() == 0)
    k.times(step.h, arena<T>(k).filled(single, T(0.5)), step.h);
  return step;
}

template <class T>
tensor<T> model<T>::before_layers(std::span<const std::int64_t> ids) const {
  needs_ids(ids);
  const entered<T> on(backend_);
  return before_layers(embedded(text_of(ids, backend_), backend_), backend_, nullptr);
}
template <class T>
tensor<T> model<T>::after_layer(std::size_t layer, const tensor<T>& before, shared_streams<T>& shared) const {
  needs_layer(layer);
  const entered<T> on(backend_);
  return after_layer(layer, before, shared, backend_, nullptr, false).h;
}
template <class T>
tensor<T> model<T>::mixer_input(std::size_t layer, const tensor<T>& before) const {
  needs_layer(layer);
  const entered<T> on(backend_);
  return evaluated(norm_, blocks_[layer].norm, before, backend_, static_cast<text_state<T>*>(nullptr));
}

template <class T>
forward_pass<T> model<T>::run(tensor<T> h, const extent_of_run& extent, const kernels<T>& k, text_state<T>* s) const {
  forward_pass<T> pass;
  h = before_layers(std::move(h), k, s);
  for (std::size_t i = 0; i < std::min(layers(), extent.layers); ++i) {
    const layer_step step = after_layer(i, h, pass.shared, k, s);
    pass.mixer_in.push_back(step.mixer_in);
    pass.mixer_out.push_back(step.mixer_out);
    h = step.h;
  }
  using logits = extent_of_run::logits;
  if (extent.of == logits::none || extent.layers < layers()) return pass;
  const std::size_t tokens = h.v.of(axis::token);
  if (classifier_)
    h = pooled(h, k);
  else if (extent.of == logits::last_token)
    h = h.slice(axis::token, tokens - 1, tokens);
  pass.logits = evaluated(head_, head_env_, "x", evaluated(last_, last_env_, h, k, s), k, s);
  pass.logits = evaluated(logits_, logits_env_, pass.logits, k, s);
  return pass;
}

template <class T>
void model<T>::run_stretch(std::span<const std::int64_t> ids, stretch_state<T>& state,
                           const take_attention& take) const {
  needs_ids(ids);
  const entered<T> on(backend_);
  state.belongs_to(this);
  run_stretch(embedded(text_of(ids, backend_), backend_), backend_, state, take);
}
template <class T>
void model<T>::run_stretch(tensor<T> h, const kernels<T>& k, stretch_state<T>& state,
                           const take_attention& take) const {
  state.rewind();
  h = before_layers(std::move(h), k, &state);
  shared_streams<T> shared;
  for (std::size_t i = 0; i < layers(); ++i) {
    std::unique_ptr<implicit_attention<T>> attention;
    h = after_layer(i, h, shared, k, &state, false, &attention).h;
    take(i, std::move(attention));
  }
}

template <class T>
bool model<T>::comes_in_stretches() const {
  if (features_ != 0) return false;
  const kernels<T>& dry = counting_kernels<T>(backend_.has_own_memory);
  const std::int64_t first_id = 0;
  const tensor<T> one = arena<T>(dry).filled(stream_extents(1, 1), 0);
  stretch_state<T> state;
  try {
    run_stretch(embedded(text_of(std::span(&first_id, 1), dry), dry), dry, state,
                [&](std::size_t, const auto& attention) {
                  carried_lanes<T> forward, backward;
                  attention->mean_apply(one, &forward);
                  attention->mean_adjoint(one, &backward);
                });
  } catch (const user_error&) {
    return false;
  }
  return true;
}

template <class T>
void model<T>::needs_ids(std::span<const std::int64_t> ids) const {
  if (features_ != 0) throw user_error("this model reads an image's values, not token ids");
  if (ids.empty()) throw user_error("the text is empty: a model needs at least one token");
  for (const std::int64_t id : ids)
    if (id < 0 || static_cast<std::size_t>(id) >= vocabulary_)
      throw user_error(fmt::format("token id {} is outside the vocabulary of {} entries (0 to {})", id, vocabulary_,
                                   vocabulary_ - 1));
}

template <class T>
forward_pass<T> model<T>::run(std::span<const std::int64_t> ids, const extent_of_run& extent) const {
  needs_ids(ids);
  const entered<T> on(backend_);
  return run(embedded(text_of(ids, backend_), backend_), extent, backend_, nullptr);
}

template <class T>
forward_pass<T> model<T>::run(std::span<const std::int64_t> ids, decoding_state<T>& state) const {
  needs_ids(ids);
  const entered<T> on(backend_);
  state.belongs_to(this);
  state.rewind();
  return run(embedded(text_of(ids, backend_), backend_), {}, backend_, &state);
}

template <class T>
stored_text<T> model<T>::text_of(std::span<const std::int64_t> ids) const {
  needs_ids(ids);
  return text_of(ids, backend_);
}
template <class T>
void model<T>::replace(const stored_text<T>& text, std::span<const std::int64_t> ids) const {
  needs_ids(ids);
  needs_text(text, backend_);
  if (ids.size() != text.tokens())
    throw user_error(fmt::format("a text of {} tokens can be replaced by one as long, but not by one of {}",
                                 text.tokens(), ids.size()));
  const std::vector<T> numbers(ids.begin(), ids.end());
  backend_.upload(numbers.data(), numbers.size(), text.ids_.v.data);
}
template <class T>
forward_pass<T> model<T>::run(const stored_text<T>& text, const extent_of_run& extent) const {
  const entered<T> on(backend_);
  return run(embedded(text, backend_), extent, backend_, nullptr);
}

template <class T>
forward_pass<T> model<T>::run(const tensor<T>& values, const extent_of_run& extent) const {
  const entered<T> on(backend_);
  return run(embedded(values, backend_), extent, backend_, nullptr);
}

template <class T>
void model<T>::needs_layer(std::size_t layer) const {
  if (layer >= layers())
    throw user_error(fmt::format("layer {} was asked for, but the model has layers 0 to {}", layer, layers() - 1));
}

template <class T>
tensor<T> model<T>::mixer(std::size_t layer, const tensor<T>& u, const shared_streams<T>& shared) const {
  needs_layer(layer);
  const entered<T> on(backend_);
  const tensor<T> y = attended(layer, attention_inputs(layer, u, shared, backend_, nullptr), backend_, nullptr);
  return projected(layer, y, backend_, nullptr);
}

template <class T>
implicit_attention<T> model<T>::attention(std::size_t layer, const tensor<T>& u,
                                          const shared_streams<T>& shared) const {
  needs_layer(layer);
  return attention(layer, u, kinds_[blocks_[layer].kind]->formula, shared);
}

template <class T>
implicit_attention<T> model<T>::attention(std::size_t layer, const tensor<T>& u, const bound_formula& formula,
                                          const shared_streams<T>& shared) const {
  needs_layer(layer);
  return implicit_attention<T>(formula, attention_inputs(layer, u, shared, backend_, nullptr), backend_);
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
