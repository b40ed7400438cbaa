// alphaform: derive, inspect, verify, evaluate and explain. Exit status 0: done; 1: a check failed; 2: the request, a
// file or the system was at fault; 3: alphaform was.
#include <fmt/core.h>

#include <alphaform/backends/parallel.hpp>
#include <alphaform/error.hpp>
#include <alphaform/explain/output/utf8.hpp>
#include <alphaform/tools/command.hpp>
#include <alphaform/tools/device.hpp>
#include <new>
#include <vector>

int main(int argc, char** argv) {
  using namespace alphaform;
  CLI::App app{"alphaform: implicit attention of gated linear RNNs, derived, evaluated and explained", "alphaform"};
  app.require_subcommand(1);
  app.set_version_flag("--version", ALPHAFORM_VERSION);
  std::size_t threads = 0;
  app.add_option("--threads", threads, "Threads to compute with; as many as the machine has unless it is given")
      ->check(CLI::Range(1, 4096));
  std::string device;
  app.add_option("--device", device, "Where to compute: cpu, unless it is given, or cuda, the first CUDA device")
      ->check(CLI::IsMember({"cpu", "cuda"}));
  std::string products = "float32";
  app.add_option("--products", products,
                 "What a CUDA device multiplies in matrices of weights and in heads: float32, unless it is given, or "
                 "bfloat16, which is faster and rounds to 8 bits")
      ->check(CLI::IsMember({"float32", "bfloat16"}));
  app.fallthrough();  // it may stand behind the subcommand too
  const std::vector<tools::subcommand> all{
      tools::add_list(app),    tools::add_derive(app),   tools::add_rules(app),  tools::add_compare(app),
      tools::add_inspect(app), tools::add_convert(app),  tools::add_verify(app), tools::add_attention(app),
      tools::add_explain(app), tools::add_classify(app), tools::add_draw(app),   tools::add_overview(app),
      tools::add_support(app), tools::add_pages(app),    tools::add_bench(app)};
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? 0 : 2;
  }
  const auto fails = [](int status, const std::string& sentence) {
    fmt::print(stderr, "alphaform: {}\n",
               visible_text(sentence));  // names come from outside: one line, no control characters
    return status;
  };
  try {
    if (threads > 0) use_threads(threads);
    tools::use_device(device, products);
    for (const tools::subcommand& s : all)
      if (s.app->parsed()) return s.run();
  } catch (const internal_error& e) {
    return fails(3, fmt::format("{} (this is a defect of alphaform; please report it with the command that led here)",
                                e.what()));
  } catch (const out_of_memory& e) {
    return fails(2, fmt::format("{}; a shorter text takes less", e.what()));
  } catch (const std::bad_alloc&) {
    return fails(2, "there is not enough memory for this request; a shorter text takes less");
  } catch (const std::exception& e) {
    return fails(2, e.what());
  }
  return 3;
}
