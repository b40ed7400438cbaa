#include <fmt/core.h>

#include <algorithm>
#include <alphaform/explain/methods.hpp>
#include <cmath>
#include <numeric>

namespace alphaform {

method method_of(std::string_view name) {
  for (const method m : {method::raw, method::rollout})
    if (text_of(m) == name) return m;
  throw user_error(fmt::format("there is no explanation method '{}'; known are raw, rollout", name));
}

std::string_view text_of(method m) { return m == method::raw ? "raw" : "rollout"; }

std::string_view sentence_of(method m) {
  return m == method::raw
             ? "mean over the layers of the last token's row of the abs-mean attention, each row divided by its sum"
             : "last token's row of the product over the layers of half the identity and half the row-normalised "
               "abs-mean attention";
}

namespace {

/// Row i of a map divided by its sum.
std::vector<double> normalised_row(const layer_map& map, std::size_t tokens, std::size_t i) {
  const float* row = map.values.data() + i * tokens;
  const double sum = std::accumulate(row, row + tokens, 0.0);
  if (!(sum > 0) || !std::isfinite(sum))
    throw user_error(fmt::format(
        "row {} of layer {}'s map sums to {}, so it cannot be normalised; the model's numbers are not finite", i,
        map.layer, sum));
  std::vector<double> r(row, row + tokens);
  for (double& v : r) v /= sum;
  return r;
}

}  // namespace

std::vector<float> token_scores(method m, const std::vector<layer_map>& maps, std::size_t tokens) {
  std::vector<double> scores(tokens, 0.0);
  if (m == method::raw) {
    for (const layer_map& map : maps) {
      const std::vector<double> row = normalised_row(map, tokens, tokens - 1);
      for (std::size_t s = 0; s < tokens; ++s) scores[s] += row[s] / static_cast<double>(maps.size());
    }
  } else {
    scores[tokens - 1] = 1;  // a row vector, taken through the layers from the last to the first
    for (auto map = maps.rbegin(); map != maps.rend(); ++map) {
      std::vector<double> next(tokens, 0.0);
      for (std::size_t i = 0; i < tokens; ++i) {
        if (scores[i] == 0) continue;
        const std::vector<double> row = normalised_row(*map, tokens, i);
        next[i] += 0.5 * scores[i];
        for (std::size_t s = 0; s < tokens; ++s) next[s] += 0.5 * scores[i] * row[s];
      }
      scores = std::move(next);
    }
  }
  return {scores.begin(), scores.end()};
}

std::vector<prediction> predictions_of(const std::vector<double>& logits, std::size_t most,
                                       const std::function<std::string(std::size_t)>& name) {
  const double top = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const double l : logits) sum += std::exp(l - top);
  std::vector<std::size_t> order(logits.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return logits[a] > logits[b]; });
  std::vector<prediction> p;
  for (std::size_t k = 0; k < std::min(most, order.size()); ++k)
    p.push_back({name(order[k]), std::exp(logits[order[k]] - top) / sum});
  return p;
}

}  // namespace alphaform
