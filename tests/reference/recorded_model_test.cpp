// A model's run, recorded once and replayed, is what it is when it is asked for.
#include <doctest/doctest.h>

#include <alphaform/backends/model/gradient.hpp>
#include <alphaform/backends/recorded.hpp>

#include "../devices.hpp"
#include "goldens.hpp"

namespace alphaform {
namespace {

/// Two texts of a model's record.
struct two_texts final {
  std::vector<std::int64_t> first, second;

  explicit two_texts(const std::string& name) {
    const checkpoint record = checkpoint::open(test::golden_folder / name / "reference.safetensors");
    const std::vector<std::int64_t> all = values<std::int64_t>(record.at("input_ids"));
    constexpr std::size_t tokens = 24;
    first.assign(all.begin(), all.begin() + tokens);
    second.assign(first.rbegin(), first.rend());
    REQUIRE(first != second);
  }
};

ON_EVERY_DEVICE("a recorded run and a recorded gradient are those of the text that is stored when they are replayed") {
  USE_DEVICE();
  for (const std::string name : {"mamba", "mamba2", "rwkv7", "griffin"}) {
    CAPTURE(name);
    const kernels<float>& k = Device::all();
    const model<float> m(checkpoint::open(test::golden_folder / name), k);
    const model_gradient<float> gradient(m);
    const two_texts texts(name);
    const stored_text<float> text = m.text_of(texts.first);
    const arena<float> memory(k);
    const tensor<float> logits = memory.make(m.run(text).logits.v.size),
                        embedded = memory.make(gradient.of_last_logit(text, 3).embedded.v.size);
    const recorded<float> run(k, [&] { k.copy(m.run(text).logits, logits); }),
        backwards(k, [&] { k.copy(gradient.of_last_logit(text, 3).embedded, embedded); });
    for (const std::vector<std::int64_t>& ids : {texts.second, texts.first}) {
      m.replace(text, ids);
      run.replay();
      backwards.replay();
      CHECK(numbers_of(logits) == numbers_of(m.run(ids).logits));
      CHECK(numbers_of(embedded) == numbers_of(gradient.of_last_logit(ids, 3).embedded));
    }
  }
}

TEST_CASE("a stored text is replaced by one that its model reads and that is as long, and is read by no other model") {
  const kernels<float>& k = cpu_kernels();
  const model<float> m(checkpoint::open(test::golden_folder / "mamba"), k),
      other(checkpoint::open(ALPHAFORM_SOURCE_DIR "/models/sentiment"), k);
  const two_texts texts("mamba");
  const stored_text<float> text = m.text_of(texts.first);
  CHECK(text.tokens() == texts.first.size());
  CHECK_THROWS_WITH_AS(m.replace(text, std::span(texts.second).first(5)),
                       "a text of 24 tokens can be replaced by one as long, but not by one of 5", user_error);
  CHECK_THROWS_WITH_AS(other.run(text),
                       "this text was stored for a model with a vocabulary of 256 entries, but this one has 4096",
                       user_error);
  CHECK_THROWS_WITH_AS(other.replace(text, texts.second),
                       "this text was stored for a model with a vocabulary of 256 entries, but this one has 4096",
                       user_error);
  std::vector<std::int64_t> strange = texts.second;
  strange[2] = 1'000'000;
  CHECK_THROWS_WITH_AS(m.replace(text, strange), "token id 1000000 is outside the vocabulary of 256 entries (0 to 255)",
                       user_error);
  CHECK(numbers_of(m.run(text).logits) == numbers_of(m.run(texts.first).logits));
}

TEST_CASE("numbers of this processor are refused while work is recorded") {
  if (!test::cuda_device::exists()) return;
  const kernels<float>& k = cuda_kernels();
  const model<float> m(checkpoint::open(test::golden_folder / "mamba"), k);
  const two_texts texts("mamba");
  CHECK_THROWS_WITH_AS(recorded<float>(k, [&] { m.run(texts.first); }),
                       "numbers of this processor would be gone when what is recorded is replayed: store them before",
                       user_error);
  CHECK(numbers_of(m.run(texts.first).logits) == numbers_of(m.run(m.text_of(texts.first)).logits));
  const model<float> elsewhere(checkpoint::open(test::golden_folder / "mamba"), cpu_kernels());
  CHECK_THROWS_WITH_AS(m.run(elsewhere.text_of(texts.first)),
                       "this text was stored for another backend than this model's, which is cuda (float32)",
                       user_error);
}

}  // namespace
}  // namespace alphaform
