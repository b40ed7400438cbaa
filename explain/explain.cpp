#include <fmt/core.h>

#include <alphaform/algebra/print.hpp>
#include <alphaform/explain/explain.hpp>
#include <alphaform/explain/printed_miss.hpp>
#include <alphaform/explain/verify.hpp>
#include <cmath>

namespace alphaform {

namespace {

/// What an output of the head stands for: a label, or the text of the next token.
std::string name_of(std::size_t output, const model<float>& m, const std::optional<tokenizer>& words) {
  if (!m.labels().empty()) return m.labels()[output];
  const auto id = static_cast<std::int64_t>(output);
  if (words && id < words->vocabulary_size()) return words->describe(std::span(&id, 1)).front().piece;
  return fmt::format("token {}", id);
}

std::vector<prediction> predictions(const model<float>& m, const tensor<float>& logits,
                                    const std::optional<tokenizer>& words) {
  const std::size_t outputs = logits.v.of(axis::chan), last = logits.v.of(axis::token) - 1;
  const tensor<float> here = on_host(logits);
  const float* row = here.v.data + last * outputs;
  for (std::size_t v = 0; v < outputs; ++v)
    if (!std::isfinite(row[v]))
      throw user_error("the model's logits are not finite numbers: its weights cannot be explained");
  return predictions_of({row, row + outputs}, m.labels().empty() ? 5 : outputs,
                        [&](std::size_t output) { return name_of(output, m, words); });
}

}  // namespace

explanation explain(const model<float>& m, std::string name, std::string text, std::span<const token> tokens,
                    method how, const std::optional<tokenizer>& words) {
  explanation e;
  e.model = std::move(name);
  e.model_type = m.of().model_type;
  e.method = text_of(how);
  e.text = std::move(text);
  for (const token& t : tokens) {
    e.pieces.push_back(t.piece);
    e.ids.push_back(t.id);
    e.special.push_back(t.special);
  }
  const forward_pass<float> pass = m.run(e.ids, {.of = extent_of_run::logits::last_token});
  e.predictions = predictions(m, pass.logits, words);
  for (std::size_t i = 0; i < m.layers(); ++i) {
    const tensor<float> map = m.attention(i, pass.mixer_in[i], pass.shared).reduced_matrix(reduction::abs_mean);
    e.maps.push_back({static_cast<int>(i), std::string(text_of(reduction::abs_mean)), numbers_of(map)});
    for (check& c : identity_checks(m, i, pass.mixer_in[i], pass.shared)) e.checks.push_back(std::move(c));
  }
  e.scores = token_scores(how, e.maps, tokens.size());
  const architecture& a = m.mixer_architecture();
  e.settings = {
      {"architecture", std::string(a.title)},
      {"layers", std::to_string(m.layers())},
      {"width", std::to_string(m.width())},
      {"tokens", std::to_string(tokens.size())},
      {"method", std::string(sentence_of(how))},
      {"maps",
       "mean over channels of |H_c|, the exact H of the derivation, from the value path's input to the mixer's output "
       "before its output projection"},
      {"backend", std::string(m.backend().name)}};
  const derivation d = derive(a.attention);
  e.formula_mathml = fmt::format("<math display=\"block\"><mrow><mi>H</mi><mo>=</mo>{}</mrow></math>",
                                 print({d, d.formula}, notation::mathml));
  e.derivation_html = derivation_document(a, document_format::html, {printed_miss(a)});
  return e;
}

}  // namespace alphaform
