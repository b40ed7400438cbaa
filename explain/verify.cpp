#include <fmt/core.h>

#include <alphaform/architectures/images/image_input.hpp>
#include <alphaform/explain/verify.hpp>
#include <cmath>
#include <limits>

namespace alphaform {

namespace {

/// Collects the largest difference and the largest magnitude of a reference.
struct comparison final {
  double max_abs = 0, scale = 0;
  void add(double found, double expected) {
    const double difference = std::abs(found - expected);
    // A difference that is no number is the largest there is.
    max_abs = std::max(max_abs, std::isfinite(difference) ? difference : std::numeric_limits<double>::max());
    if (std::isfinite(expected)) scale = std::max(scale, std::abs(expected));
  }
  check as(std::string name, double tolerance) const {
    return {std::move(name), max_abs, scale, tolerance, max_abs <= tolerance * scale, {}};
  }
};

/// @param channel  of all heads and groups
template <class T>
T entry(const tensor<T>& x, std::size_t token, std::size_t channel) {
  std::size_t place = token * x.v.step(axis::token);
  for (std::size_t k = axis_count; k-- > 1;) {
    place += channel % x.v.size[k] * x.v.stride[k];
    channel /= x.v.size[k];
  }
  return x.v.data[place];
}

/// Tokens whose rows are checked: the first, the last and some between.
std::vector<std::size_t> some_tokens(std::size_t tokens) {
  std::vector<std::size_t> some{0};
  for (const std::size_t t : {tokens / 3, tokens / 2, tokens - 1})
    if (t > some.back()) some.push_back(t);
  return some;
}

template <class T>
void compare_identity(const model<T>& m, std::size_t layer, const tensor<T>& u, const shared_streams<T>& shared,
                      comparison& whole, comparison& rows) {
  implicit_attention<T> a = m.attention(layer, u, shared);
  const tensor<T> x = on_host(a.x()), y = on_host(a.output()), hx = on_host(a.apply(a.x())), r = on_host(a.remainder());
  for (std::size_t t = 0; t < a.tokens(); ++t)
    for (std::size_t c = 0; c < a.channels(); ++c) whole.add(entry(hx, t, c) + entry(r, t, c), entry(y, t, c));
  for (const std::size_t t : some_tokens(a.tokens())) {
    if (a.mixes_channels()) {  // a sum over the channels of a token's rows
      const tensor<T> unit = arena<T>(m.backend()).make(a.stream());
      m.backend().unit(t, unit);
      const tensor<T> row = on_host(a.adjoint(unit));
      double sum = 0, expected = 0;
      for (std::size_t c = 0; c < a.channels(); ++c) {
        sum += entry(r, t, c);
        expected += entry(y, t, c);
        for (std::size_t s = 0; s < a.tokens(); ++s) sum += static_cast<double>(entry(row, s, c)) * entry(x, s, c);
      }
      rows.add(sum, expected);
      continue;
    }
    const tensor<T> row = on_host(a.row(t));
    for (std::size_t c = 0; c < a.channels(); ++c) {
      double sum = entry(r, t, c);
      for (std::size_t s = 0; s < a.tokens(); ++s) sum += static_cast<double>(entry(row, s, c)) * entry(x, s, c);
      rows.add(sum, entry(y, t, c));
    }
  }
}

template <class T>
std::vector<check> as_checks(std::size_t layer, const comparison& whole, const comparison& rows) {
  return {whole.as(fmt::format("identity.{}", layer), tolerance<T>::identity),
          rows.as(fmt::format("identity_rows.{}", layer), tolerance<T>::identity)};
}

/// A record's tensor of float32 numbers with the given number of dimensions.
struct recorded final {
  std::vector<float> numbers;
  std::vector<std::size_t> shape;
};
recorded read(const checkpoint& record, const std::string& name, std::size_t dimensions) {
  const stored_tensor& t = record.at(name);
  recorded r{values<float>(t), {t.shape.begin(), t.shape.end()}};
  if (r.shape.size() != dimensions)
    throw user_error(
        fmt::format("the record's '{}' should have {} dimensions, but has {}", name, dimensions, r.shape.size()));
  return r;
}

/// What a record's samples were computed from: ids, or images' values.
struct recorded_inputs final {
  std::size_t samples = 0, longest = 0;  ///< longest: ids a sample, padding included
  std::vector<std::int64_t> ids, lengths;
  recorded images{};  ///< [samples, channels, height, width], normalised

  template <class T>
  forward_pass<T> run(const model<T>& m, std::size_t b) const {
    if (images.shape.empty()) return m.run(std::span(ids).subspan(b * longest, static_cast<std::size_t>(lengths[b])));
    const image_shape shape{images.shape[1], images.shape[2], images.shape[3]};
    const std::span<const float> image = std::span(images.numbers).subspan(b * shape.samples(), shape.samples());
    const std::vector<float> values = in_patches(image, shape, m.features());
    return m.run(stream_of(std::span(values), values.size() / m.features(), m.features(), m.backend()));
  }
};

recorded_inputs images_of(const checkpoint& record) {
  recorded_inputs r;
  r.images = read(record, "pixel_values", 4);
  if (r.images.numbers.empty()) throw user_error("the record's 'pixel_values' are empty: there is nothing to check");
  r.samples = r.images.shape[0];
  return r;
}

/// @param features  0 for a model that reads ids
recorded_inputs inputs_of(const checkpoint& record, std::size_t features) {
  if (features != 0) return images_of(record);
  recorded_inputs r;
  const stored_tensor& stored_ids = record.at("input_ids");
  r.ids = values<std::int64_t>(stored_ids);
  if (stored_ids.shape.size() != 2)
    throw user_error("the record's 'input_ids' should have the shape [samples, tokens]");
  if (stored_ids.shape[0] < 1 || stored_ids.shape[1] < 1)
    throw user_error("the record's 'input_ids' are empty: there is nothing to check");
  r.samples = static_cast<std::size_t>(stored_ids.shape[0]);
  r.longest = static_cast<std::size_t>(stored_ids.shape[1]);
  const bool padded = record.find("lengths") != nullptr;
  r.lengths =
      padded ? values<std::int64_t>(record.at("lengths")) : std::vector<std::int64_t>(r.samples, stored_ids.shape[1]);
  if (r.lengths.size() != r.samples) throw user_error("the record's 'lengths' should have one entry for each sample");
  for (const std::int64_t n : r.lengths)
    if (n < 1 || static_cast<std::size_t>(n) > r.longest)
      throw user_error(
          fmt::format("the record says that a sample has {} tokens, but it has room for 1 to {}", n, r.longest));
  return r;
}

template <class T>
std::vector<check> identities_of(const model<T>& m, const forward_pass<T>& pass) {
  std::vector<check> checks;
  for (std::size_t i = 0; i < m.layers(); ++i)
    for (check& c : identity_checks(m, i, pass.mixer_in[i], pass.shared)) checks.push_back(std::move(c));
  return checks;
}

}  // namespace

template <class T>
std::vector<check> identity_checks(const model<T>& m, std::size_t layer, const tensor<T>& u,
                                   const shared_streams<T>& shared) {
  comparison whole, rows;
  compare_identity(m, layer, u, shared, whole, rows);
  return as_checks<T>(layer, whole, rows);
}

template <class T>
std::vector<check> identity_checks(const model<T>& m, std::span<const std::int64_t> ids) {
  return identities_of(m, m.run(ids, {.of = extent_of_run::logits::none}));
}

template <class T>
std::vector<check> identity_checks(const model<T>& m, const tensor<T>& values) {
  return identities_of(m, m.run(values, {.of = extent_of_run::logits::none}));
}

template <class T>
std::vector<check> record_checks(const model<T>& m, const checkpoint& record) {
  const recorded_inputs inputs = inputs_of(record, m.features());
  const std::size_t samples = inputs.samples;
  std::vector<check> checks;
  const bool classifier = !m.labels().empty();
  const recorded logits = read(record, "logits", classifier ? 2 : 3);
  const std::size_t outputs = logits.shape.back(), per_sample = classifier ? outputs : inputs.longest * outputs;
  if (logits.numbers.size() != samples * per_sample)
    throw user_error("the record's 'logits' do not fit its inputs: it belongs to another kind of model");
  comparison all;
  std::vector<std::size_t> length;  // tokens of each sample
  for (std::size_t b = 0; b < samples; ++b) {
    const forward_pass<T> pass = inputs.run(m, b);
    length.push_back(pass.mixer_in.front().v.of(axis::token));
    if (pass.logits.v.of(axis::chan) != outputs)
      throw user_error(
          fmt::format("the record has {} logits a token, but the model has {}", outputs, pass.logits.v.of(axis::chan)));
    const tensor<T> found = on_host(pass.logits);
    for (std::size_t t = 0; t < (classifier ? 1 : length[b]); ++t)
      for (std::size_t v = 0; v < outputs; ++v)
        all.add(entry(found, t, v), logits.numbers[b * per_sample + t * outputs + v]);
  }
  checks.push_back(all.as("logits", tolerance<T>::recorded));

  std::vector<shared_streams<T>> first;  // of each sample
  for (std::size_t i = 0; i < m.layers(); ++i) {
    const recorded in = read(record, fmt::format("mixer_in.{}", i), 3),
                   out = read(record, fmt::format("mixer_out.{}", i), 3);
    if (in.shape != out.shape || in.shape[2] != m.width() || in.shape[0] > samples || in.shape[0] < 1 ||
        in.shape[1] < 1)
      throw user_error(fmt::format("the record's 'mixer_in.{}' and 'mixer_out.{}' do not fit this model of width {}", i,
                                   i, m.width()));
    comparison mixers, whole, rows;
    const std::size_t room = in.shape[1], width = in.shape[2];
    for (std::size_t b = 0; b < in.shape[0]; ++b) {
      const std::size_t tokens = std::min(length[b], room);
      const tensor<T> u = m.stream(std::span(in.numbers).subspan(b * room * width, tokens * width), tokens);
      if (i == 0) first.push_back(m.shared(u));
      const shared_streams<T> shared = b < first.size() ? first[b] : shared_streams<T>{};
      const tensor<T> y = on_host(m.mixer(i, u, shared));
      for (std::size_t t = 0; t < tokens; ++t)
        for (std::size_t d = 0; d < width; ++d) mixers.add(entry(y, t, d), out.numbers[(b * room + t) * width + d]);
      compare_identity(m, i, u, shared, whole, rows);
    }
    checks.push_back(mixers.as(fmt::format("mixer_out.{}", i), tolerance<T>::recorded));
    for (check& c : as_checks<T>(i, whole, rows)) checks.push_back(std::move(c));
  }
  return checks;
}

template <class T>
std::vector<check> logit_checks(const model<T>& m, std::span<const std::int64_t> ids, std::span<const float> logits) {
  const forward_pass<T> pass = m.run(ids);
  const std::size_t outputs = pass.logits.v.of(axis::chan);
  if (logits.size() != outputs)
    throw user_error(
        fmt::format("the logits file holds {} numbers, but the model has {} logits", logits.size(), outputs));
  comparison sequence;
  const tensor<T> at_once = on_host(pass.logits);
  for (std::size_t v = 0; v < outputs; ++v) sequence.add(entry(at_once, ids.size() - 1, v), logits[v]);
  decoding_state<T> state;
  forward_pass<T> last;
  for (std::size_t t = 0; t < ids.size(); ++t) last = m.run(ids.subspan(t, 1), state);
  comparison stepwise;
  const tensor<T> by_steps = on_host(last.logits);
  for (std::size_t v = 0; v < outputs; ++v) stepwise.add(entry(by_steps, 0, v), logits[v]);
  sequence.scale = stepwise.scale = 1;  // an absolute bound
  std::vector<check> checks{sequence.as("logits.sequence", 1e-5), stepwise.as("logits.token_by_token", 1e-5)};
  for (check& c : identity_checks(m, ids)) checks.push_back(std::move(c));
  return checks;
}

template std::vector<check> identity_checks(const model<float>&, std::size_t, const tensor<float>&,
                                            const shared_streams<float>&);
template std::vector<check> identity_checks(const model<double>&, std::size_t, const tensor<double>&,
                                            const shared_streams<double>&);
template std::vector<check> identity_checks(const model<float>&, std::span<const std::int64_t>);
template std::vector<check> identity_checks(const model<double>&, std::span<const std::int64_t>);
template std::vector<check> identity_checks(const model<float>&, const tensor<float>&);
template std::vector<check> identity_checks(const model<double>&, const tensor<double>&);
template std::vector<check> record_checks(const model<float>&, const checkpoint&);
template std::vector<check> record_checks(const model<double>&, const checkpoint&);
template std::vector<check> logit_checks(const model<float>&, std::span<const std::int64_t>, std::span<const float>);
template std::vector<check> logit_checks(const model<double>&, std::span<const std::int64_t>, std::span<const float>);

}  // namespace alphaform
