// alphaform bench: times of named cases, each beside what the machine can do at most and, where their times are at
// hand, beside other implementations.
#include <fmt/core.h>

#include <algorithm>
#include <alphaform/architectures/checkpoint/quote.hpp>
#include <alphaform/backends/kernels.hpp>
#include <alphaform/backends/parallel.hpp>
#include <alphaform/benchmarks/backend.hpp>
#include <alphaform/benchmarks/benchmarks.hpp>
#include <alphaform/error.hpp>
#include <alphaform/explain/output/json.hpp>
#include <alphaform/tools/command.hpp>
#include <alphaform/tools/device.hpp>
#include <alphaform/tools/input.hpp>
#include <cmath>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <utility>

namespace alphaform::tools {

namespace {

using benchmarks::measurement;

struct bench_options final {
  benchmarks::request of;
  std::optional<std::string> json, peers;
  std::string streams = "float32";
  bool list = false, markdown = false;
};

/// {"by": "PyTorch 2.4", "threads": 2, "seconds": {"mamba/output": 0.4, ...}}, as benchmarks/peers.py writes it.
struct peer_times final {
  std::string by;
  std::map<std::string, double, std::less<>> seconds;

  double of(const std::string& name) const {
    const auto found = seconds.find(name);
    return found == seconds.end() ? 0 : found->second;
  }
};

peer_times read_peers(const std::string& file) {
  std::ifstream in(file);
  if (!in) throw user_error(fmt::format("{} cannot be read; benchmarks/peers.py writes it", quote_path(file)));
  try {
    const nlohmann::json j = nlohmann::json::parse(in);
    const auto other = j.at("threads").get<std::size_t>();
    if (other != threads() && !benchmarks::backend().has_own_memory)  // a device's times have nothing to do with them
      throw user_error(fmt::format("{} has times with {} threads, but {} are used here: give --threads {}",
                                   quote_path(file), other, threads(), other));
    return {j.at("by").get<std::string>(), j.at("seconds").get<decltype(peer_times::seconds)>()};
  } catch (const nlohmann::json::exception& e) {
    throw user_error(fmt::format("{} is no record of benchmarks/peers.py: {}", quote_path(file), e.what()));
  }
}

std::string text_of_time(double seconds) {
  return seconds >= 1 ? fmt::format("{:.3g} s", seconds) : fmt::format("{:.3g} ms", 1e3 * seconds);
}
/// How many times, nothing for 0.
std::string times(double ratio) {
  return ratio == 0 ? "" : ratio < 9.95 ? fmt::format("{:.2f}", ratio) : fmt::format("{:.0f}", ratio);
}
std::string rate(double value, std::string_view unit) { return fmt::format("{:.3g} G{}", value * 1e-9, unit); }

/// Rows of columns, as a Markdown table or in columns for a terminal; every row is printed when it is there.
class table final {
 public:
  explicit table(bool markdown) : markdown_(markdown) {}
  void row(const std::vector<std::string>& cells) {
    std::string line = markdown_ ? "|" : "";
    std::size_t column = 0;
    for (const std::string& c : cells) {
      if (markdown_)
        line += " " + c + " |";
      else
        line += column == 0 ? fmt::format("{:<32}", c) : fmt::format(" {:>11}", c);
      ++column;
    }
    fmt::print("{}\n", line);
    if (markdown_ && !std::exchange(ruled_, true)) {
      std::string rule = "|---|";
      for (std::size_t k = 1; k < cells.size(); ++k) rule += "---:|";
      fmt::print("{}\n", rule);
    }
    std::fflush(stdout);
  }

 private:
  bool markdown_, ruled_ = false;
};

void print_ceilings(const std::vector<measurement>& all, bool markdown) {
  benchmarks::rates best;
  for (const measurement& m : all) {
    best.bytes = std::max(best.bytes, m.ceilings.bytes);
    best.exponentials = std::max(best.exponentials, m.ceilings.exponentials);
    best.flops = std::max(best.flops, m.ceilings.flops);
  }
  fmt::print("\n{}Ceilings, the best of the run {}: copy {}, exponentials {}, products {}.\n", markdown ? "" : "  ",
             device().has_own_memory ? fmt::format("on {}", device().name)
                                     : fmt::format("with {} thread{}", threads(), threads() == 1 ? "" : "s"),
             rate(best.bytes, "B/s"), rate(best.exponentials, "/s"), rate(best.flops, "FLOP/s"));
}

/// The time of each size, and the power of the size with which it grew from the one before.
void print_growth(const std::vector<measurement>& all, bool markdown) {
  table t(markdown);
  t.row({"query, size", "time", "power"});
  const measurement* before = nullptr;
  benchmarks::growth_point last{};
  for (const benchmarks::growth_point& p : benchmarks::growth_points()) {
    const auto m = std::find_if(all.begin(), all.end(), [&](const measurement& x) { return x.name == p.name; });
    if (m == all.end()) continue;
    const bool follows = before != nullptr && last.curve == p.curve && last.size == p.size;
    const double power = follows ? std::log(m->seconds / before->seconds) /
                                       std::log(static_cast<double>(p.value) / static_cast<double>(last.value))
                                 : 0;
    t.row({fmt::format("{}, {} = {}", p.curve, p.size, p.value), text_of_time(m->seconds),
           follows ? fmt::format("{:.2f}", power) : ""});
    before = &*m;
    last = p;
  }
}

nlohmann::json as_json(const std::vector<measurement>& all, const peer_times& peers, bool small) {
  nlohmann::json j{{"threads", threads()}, {"backend", device().name}, {"small", small}, {"peer", peers.by}};
  j["cases"] = nlohmann::json::array();
  for (const measurement& m : all) {
    nlohmann::json one{{"name", m.name}, {"seconds", m.seconds}};
    const auto add = [&one](const char* of, double work, double rate, double over) {
      if (over > 0) one["ceilings"][of] = {{"work", work}, {"per_second", rate}, {"over", over}};
    };
    add("copy", m.least.bytes, m.ceilings.bytes, m.over_copy());
    add("exponentials", m.least.exponentials, m.ceilings.exponentials, m.over_exponentials());
    add("products", m.least.flops, m.ceilings.flops, m.over_products());
    if (const double p = peers.of(m.name); p > 0) one["peer_seconds"] = p;
    j["cases"].push_back(std::move(one));
  }
  return j;
}

std::vector<measurement> measure_and_print(const bench_options& o, const peer_times& peers) {
  table t(o.markdown);
  const auto row = [&](std::vector<std::string> cells, std::vector<std::string> of_peer) {
    if (!peers.by.empty()) cells.insert(cells.end(), of_peer.begin(), of_peer.end());
    t.row(cells);
  };
  row({"case", "time", "/ copy", "/ exp", "/ product"}, {"peer", "peer / time"});
  return benchmarks::measure(o.of, [&](const measurement& m) {
    const double peer = peers.of(m.name);
    row({m.name, text_of_time(m.seconds), times(m.over_copy()), times(m.over_exponentials()), times(m.over_products())},
        {peer > 0 ? text_of_time(peer) : "", times(peer / m.seconds)});
  });
}

int run(const bench_options& o) {
  const std::vector<benchmarks::case_name> cases = benchmarks::chosen_cases(o.of);
  if (o.list) {
    for (const benchmarks::case_name& c : cases) fmt::print("{:<32} {}\n", c.name, c.what);
    return 0;
  }
  benchmarks::use_backend(device());
  if (o.streams == "bfloat16") {
    if (!device().has_own_memory)
      throw user_error("--streams bfloat16 was asked for without --device cuda: the CPU has no such streams here");
    benchmarks::use_format(number_format::bfloat16);
  }
  const peer_times peers = o.peers ? read_peers(*o.peers) : peer_times{};
  const std::vector<measurement> all =
      o.of.growth ? benchmarks::measure(o.of, [](const auto&) {}) : measure_and_print(o, peers);
  if (o.of.growth)
    print_growth(all, o.markdown);
  else
    print_ceilings(all, o.markdown);
  if (!peers.by.empty()) fmt::print("{}Peer: {}.\n", o.markdown ? "" : "  ", peers.by);
  if (o.json) write_or_print(o.json, json_text(as_json(all, peers, o.of.small)));
  return 0;
}

}  // namespace

subcommand add_bench(CLI::App& app) {
  static bench_options o;
  CLI::App* c =
      app.add_subcommand("bench", "Times of named cases, and their ratios to what this machine can do at most");
  c->add_option("cases", o.of.names, "Cases, or groups such as mamba; all if none is given");
  c->add_flag("--list", o.list, "Print the names of the cases and what they do");
  c->add_flag("--growth", o.of.growth, "How times grow with tokens T, channels C and states N");
  c->add_option("--repetitions", o.of.repetitions, "The shortest of so many counts, on a device their median")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  CLI::Option* peers = c->add_option("--peers", o.peers, "Times of other implementations, from benchmarks/peers.py");
  c->add_option("--json", o.json, "File to write all numbers to");
  c->add_flag(
      "--replay", o.of.replay,
      "Record each case once and time replays of it, one behind the other, on copies that no cache holds; models "
      "and rollouts, which hand numbers over, are timed as called");
  c->add_option("--streams", o.streams, "How a device stores inputs and what is computed of them; states are float32")
      ->check(CLI::IsMember({"float32", "bfloat16"}))
      ->capture_default_str();
  c->add_flag("--markdown", o.markdown, "Print a Markdown table");
  c->add_flag("--small", o.of.small, "Try every case once at small sizes; the times mean nothing")->excludes(peers);
  c->footer("Example: alphaform bench mamba hgrn/apply --threads 1 --json times.json");
  return {c, [] { return run(o); }};
}

}  // namespace alphaform::tools
