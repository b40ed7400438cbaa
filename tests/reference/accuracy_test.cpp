// Classifiers on SST-2's development sentences: as many right as the training run recorded, counted exactly.
#include <doctest/doctest.h>

#include <alphaform/architectures/text/text_input.hpp>
#include <alphaform/backends/model/model.hpp>
#include <cmath>
#include <fstream>
#include <iterator>

#include "../shared_data.hpp"

namespace alphaform {
namespace {

using test::shared;

std::string bytes_of_file(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

void check_accuracy(const std::filesystem::path& folder, int expected) {
  CAPTURE(folder.string());
  const checkpoint file = checkpoint::open(folder);
  const model<float> m(file, cpu_kernels());
  REQUIRE(m.labels() == std::vector<std::string>{"negative", "positive"});
  std::ifstream sentences(*shared("data/sst2/dev.tsv"));
  int right = 0, all = 0;
  for (std::string line; std::getline(sentences, line); ++all) {
    const std::size_t tab = line.rfind('\t');
    REQUIRE(tab != std::string::npos);
    const std::vector<std::int64_t> ids = ids_of(tokens_of_text(file, m.vocabulary(), line.substr(0, tab)));
    const forward_pass<float> pass = m.run(ids);
    const bool positive = pass.logits.v.data[1] > pass.logits.v.data[0];
    right += positive == (line.substr(tab + 1) == "1");
  }
  const double recorded = nlohmann::json::parse(bytes_of_file(folder / "metrics.json"))["accuracy"]["sst2_dev"];
  CHECK(all == 872);
  CHECK(right == std::lround(872 * recorded));
  CHECK(right == expected);
}

TEST_CASE("tiny classifiers get as many of SST-2's 872 development sentences right as their training run recorded") {
  SKIP_WITHOUT_SHARED("data/sst2/dev.tsv");
  struct recorded final {
    const char* model;
    int right;
  };
  for (const recorded& r : {recorded{"mamba", 674}, recorded{"rwkv4", 716}, recorded{"mamba2", 698},
                            recorded{"griffin", 696}, recorded{"hgrn", 711}, recorded{"llama", 688}}) {
    SKIP_WITHOUT_SHARED(std::string("models/tiny/") + r.model);
    check_accuracy(*shared("models/tiny") / r.model, r.right);
  }
}

TEST_CASE("the sentiment model that comes along is the tiny RWKV-4 byte for byte") {
  SKIP_WITHOUT_SHARED("models/tiny/rwkv4");
  const std::string here = bytes_of_file(ALPHAFORM_SOURCE_DIR "/models/sentiment/model.safetensors");
  CHECK(here.size() > 1000000);
  CHECK((here == bytes_of_file(*shared("models/tiny/rwkv4") / "model.safetensors")));
}

}  // namespace
}  // namespace alphaform
