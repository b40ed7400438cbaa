// The subcommands of `alphaform`: each adds itself to the command line and returns what runs when it is chosen.
#pragma once
#include <CLI/CLI.hpp>
#include <functional>

namespace alphaform::tools {

/// Runs a chosen subcommand; the result is the exit status.
using action = std::function<int()>;

struct subcommand final {
  CLI::App* app;
  action run;
};

subcommand add_list(CLI::App&);
subcommand add_derive(CLI::App&);
subcommand add_rules(CLI::App&);
subcommand add_compare(CLI::App&);
subcommand add_inspect(CLI::App&);
subcommand add_convert(CLI::App&);
subcommand add_verify(CLI::App&);
subcommand add_attention(CLI::App&);
subcommand add_explain(CLI::App&);
subcommand add_support(CLI::App&);
subcommand add_pages(CLI::App&);
subcommand add_overview(CLI::App&);
subcommand add_draw(CLI::App&);
subcommand add_bench(CLI::App&);
subcommand add_classify(CLI::App&);

}  // namespace alphaform::tools
