// Where the command computes: --device and --threads.
#include <doctest/doctest.h>

#include <alphaform/backends/kernels.hpp>
#include <nlohmann/json.hpp>

#include "run_command.hpp"

namespace alphaform {
namespace {

using nlohmann::json;
using test::bytes_of_file;
using test::outcome;
using test::output_of;
using test::run_command;
using test::temporary_folder;

const std::string mamba = ALPHAFORM_SOURCE_DIR "/models/golden/mamba",
                  ids = "72,101,108,108,111,32,116,104,101,114,101";

TEST_CASE("--device cuda gives the numbers of the CPU, or says why there is no device") {
  const std::vector<std::string> request{"verify", mamba, "--device", "cuda", "--json"};
  const auto missing = why_no_cuda();
  const outcome o = run_command(request);
  if (missing) {
    CHECK(o.status == 2);
    CHECK(o.out.empty());
    CHECK(o.err.find(*missing) != std::string::npos);
  } else {
    CHECK(o.status == 0);
    CHECK(json::parse(o.out)["device"] == "cuda (float32)");
    CHECK(json::parse(o.out)["failed"] == 0);
    CHECK(run_command({"verify", mamba, "--device", "cuda", "--dtype", "f64"}).status == 2);
  }
  CHECK(run_command({"list", "--device", "abacus"}).status == 2);
  const outcome rounded = run_command({"verify", mamba, "--products", "bfloat16"});
  CHECK(rounded.status == 2);
  CHECK(rounded.err.find("without --device cuda") != std::string::npos);
}

TEST_CASE("streams of bfloat16 are refused without a device") {
  const outcome o = run_command({"bench", "hgrn-core/apply-2048", "--streams", "bfloat16"});
  CHECK(o.status == 2);
  CHECK(o.out.empty());
  // Without Google Benchmark the command says that first.
  CHECK((o.err.find("without --device cuda") != std::string::npos ||
         o.err.find("libbenchmark-dev") != std::string::npos));
}

TEST_CASE("results do not depend on --threads, before or behind the subcommand, and 0 threads are refused") {
  const temporary_folder folder;
  const std::string one = folder.path() / "one.npy", three = folder.path() / "three.npy";
  output_of({"--threads", "1", "attention", mamba, "--ids", ids, "--layer", "0", "-o", one});
  output_of({"attention", mamba, "--ids", ids, "--layer", "0", "-o", three, "--threads", "3"});
  CHECK(bytes_of_file(one) == bytes_of_file(three));
  CHECK(run_command({"list", "--threads", "0"}).status == 2);
}

}  // namespace
}  // namespace alphaform
