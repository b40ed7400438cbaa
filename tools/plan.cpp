#include <fmt/core.h>

#include <alphaform/error.hpp>
#include <alphaform/tools/plan.hpp>
#include <charconv>
#include <limits>

namespace alphaform::tools {

namespace {

std::string text_of_bytes(double bytes) {
  return bytes < (1 << 20) ? fmt::format("{:.1f} KiB", bytes / 1024) : fmt::format("{:.1f} MiB", bytes / (1 << 20));
}

nlohmann::json json_of(const work& w) {
  return {{"calls", w.calls}, {"flops", w.flops}, {"functions", w.functions}, {"bytes", w.bytes}};
}

}  // namespace

std::size_t bytes_of(const std::string& text) {
  std::size_t n = 0, unit = 1;
  const char* const end = text.data() + text.size();
  const auto [at, failed] = std::from_chars(text.data(), end, n);
  const std::string_view rest(at, static_cast<std::size_t>(end - at));
  if (rest == "K") unit = std::size_t{1} << 10;
  if (rest == "M") unit = std::size_t{1} << 20;
  if (rest == "G") unit = std::size_t{1} << 30;
  if (failed != std::errc{} || (unit == 1 && !rest.empty()) || n > std::numeric_limits<std::size_t>::max() / unit)
    throw user_error(
        fmt::format("an amount of memory is a number with K, M or G behind it, such as 200M; '{}' is none", text));
  return n * unit;
}

std::string plan_text(const query_plan& p) {
  std::string text = fmt::format(
      "query            {}\nbackend          {}, {} threads\ntokens, channels {}, {}\nstrategy         {}: {}\n"
      "recurrence       {}\nwindows          {} entries of a stream a thread\n"
      "operations       {:.3g}, and {:.3g} values of exponential functions\n"
      "bytes moved      {}\npeak memory      {} beyond weights and inputs\n\n",
      p.query, p.backend, p.threads, p.tokens, p.channels, p.strategy, p.reason, p.recurrence, p.window, p.all.flops,
      p.all.functions, text_of_bytes(p.all.bytes), text_of_bytes(static_cast<double>(p.peak_bytes)));
  text += fmt::format("{:<18}{:>8}{:>12}{:>14}{:>14}\n", "step", "calls", "operations", "exponentials", "bytes");
  for (const auto& [kernel, w] : p.steps)
    text += fmt::format("{:<18}{:>8}{:>12.3g}{:>14.3g}{:>14}\n", kernel, w.calls, w.flops, w.functions,
                        text_of_bytes(w.bytes));
  return text;
}

nlohmann::json plan_json(const query_plan& p) {
  nlohmann::json steps = nlohmann::json::object();
  for (const auto& [kernel, w] : p.steps) steps[std::string(kernel)] = json_of(w);
  return {{"query", p.query},           {"backend", p.backend},       {"threads", p.threads},
          {"tokens", p.tokens},         {"channels", p.channels},     {"strategy", p.strategy},
          {"reason", p.reason},         {"recurrence", p.recurrence}, {"window_entries", p.window},
          {"peak_bytes", p.peak_bytes}, {"all", json_of(p.all)},      {"steps", steps}};
}

}  // namespace alphaform::tools
