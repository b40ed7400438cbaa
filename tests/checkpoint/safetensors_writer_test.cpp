// Written safetensors files: what is read back, where the tensors lie, and what cannot be written.
#include <doctest/doctest.h>

#include <alphaform/architectures/checkpoint/safetensors.hpp>
#include <alphaform/architectures/checkpoint/safetensors_writer.hpp>
#include <cstring>
#include <nlohmann/json.hpp>

#include "../temporary_folder.hpp"
#include "torch_image.hpp"

namespace {

using alphaform::dtype;
using alphaform::stored_tensor;
using namespace alphaform::test;

std::string written(const std::vector<stored_tensor>& tensors,
                    const std::map<std::string, std::string>& metadata = {}) {
  std::string bytes;
  alphaform::write_safetensors(tensors, metadata, [&bytes](std::span<const std::byte> next) {
    bytes.append(reinterpret_cast<const char*>(next.data()), next.size());
  });
  return bytes;
}

std::string header_of(const std::string& image) {
  std::uint64_t length = 0;
  std::memcpy(&length, image.data(), sizeof length);
  REQUIRE(length <= image.size() - sizeof length);
  return image.substr(sizeof length, length);
}

TEST_SUITE("checkpoint/safetensors_writer") {
  TEST_CASE("what is written is read back, every tensor aligned to its elements") {
    const std::string data = counting<std::uint8_t>(64);
    const auto of = [&](const char* name, dtype type, std::vector<std::int64_t> shape) {
      const auto size = *alphaform::stored_size(type, shape);
      return stored_tensor{name, type, std::move(shape), bytes_of(data).subspan(3, size)};
    };
    const std::vector<stored_tensor> tensors{of("odd", dtype::i8, {3}),        of("b", dtype::f32, {2, 2}),
                                             of("a", dtype::f32, {1}),         of("half", dtype::f16, {3, 1}),
                                             of("wide", dtype::f64, {}),       of("none", dtype::i64, {0, 5}),
                                             of("flags", dtype::boolean, {5}), of("brain", dtype::bf16, {1}),
                                             of("small", dtype::f8_e4m3, {2}), of("caf\xC3\xA9 \"", dtype::u8, {1}),
                                             of("i", dtype::i16, {2}),         of("j", dtype::i32, {1})};
    const std::string image = written(tensors, {{"format", "pt"}});
    const std::string header = header_of(image);
    CHECK(header.size() % 8 == 0);
    CHECK(header.starts_with(
        R"({"__metadata__":{"format":"pt"},"none":{"dtype":"I64","shape":[0,5],"data_offsets":[0,0]},)"
        R"("wide":{"dtype":"F64","shape":[],"data_offsets":[0,8]},)"
        R"("a":{"dtype":"F32","shape":[1],"data_offsets":[8,12]},)"
        R"("b":{"dtype":"F32","shape":[2,2],"data_offsets":[12,28]},)"));
    const auto read = alphaform::parse_safetensors(bytes_of(image), "'written'");
    REQUIRE(read.size() == tensors.size());
    for (const stored_tensor& t : tensors) {
      CAPTURE(t.name);
      const auto same =
          std::find_if(read.begin(), read.end(), [&](const stored_tensor& r) { return r.name == t.name; });
      REQUIRE(same != read.end());
      CHECK(same->type == t.type);
      CHECK(same->shape == t.shape);
      CHECK(std::equal(same->bytes.begin(), same->bytes.end(), t.bytes.begin(), t.bytes.end()));
      const auto place = same->bytes.data() - bytes_of(image).data();
      CHECK(static_cast<std::size_t>(place) % alphaform::bytes_of(t.type) == 0);
    }
    CHECK(header_of(written({})) == "{}      ");
  }

  TEST_CASE("quantised types become f32") {          // q8_0: d, then signed bytes; number i is d times byte i
    std::string block = raw<std::uint16_t>(0x3800);  // d = 0.5
    std::vector<float> expected;
    for (int i = 0; i < 32; ++i) {
      block += static_cast<char>(3 * i - 40);
      expected.push_back(0.5F * static_cast<float>(3 * i - 40));
    }
    const std::string image = written({{"q", dtype::q8_0, {1, 32}, bytes_of(block)}});
    const auto read = alphaform::parse_safetensors(bytes_of(image), "'written'");
    CHECK(read.at(0).type == dtype::f32);
    CHECK(read.at(0).shape == std::vector<std::int64_t>{1, 32});
    CHECK(alphaform::values<float>(read.at(0)) == expected);
  }

  TEST_CASE("what cannot stand in a header is refused") {
    const auto refused = [](const std::vector<const char*>& names, std::initializer_list<std::string_view> words) {
      std::vector<stored_tensor> tensors;
      for (const char* name : names) tensors.push_back({name, dtype::f32, {0}, {}});
      check_refused([&] { written(tensors); }, words);
    };
    refused({"a", "b", "a"}, {"'a'", "two of this name"});
    refused({"__metadata__"}, {"'__metadata__'", "keep this name"});
    refused({"\xFF"}, {"not UTF-8"});
    check_refused([] { written({}, {{"a", "\xFF"}}); }, {"not UTF-8"});
    const std::string data(8, '\0');
    CHECK_THROWS_AS(written({{"w", dtype::f32, {3}, bytes_of(data)}}), alphaform::internal_error);
  }
}

}  // namespace
