// rwkv.cpp files: the three tiny models of that project, images made here, and the refusal of malformed ones.
#include <doctest/doctest.h>

#include <alphaform/architectures/checkpoint/checkpoint.hpp>
#include <alphaform/architectures/checkpoint/rwkv_cpp.hpp>
#include <alphaform/error.hpp>
#include <cmath>
#include <cstring>
#include <numeric>

#include "../shared_data.hpp"
#include "../temporary_folder.hpp"

namespace {

using alphaform::checkpoint;
using alphaform::parse_rwkv_cpp;
using alphaform::values;
using namespace alphaform::test;

constexpr std::int32_t magic = 0x67676d66;

std::string numbers(std::initializer_list<std::int32_t> list) {
  std::string bytes;
  for (const std::int32_t number : list) bytes.append(reinterpret_cast<const char*>(&number), 4);
  return bytes;
}

std::string tensor(std::int32_t type, std::initializer_list<std::int32_t> ggml_shape, const std::string& name,
                   const std::string& data) {
  const auto dims = static_cast<std::int32_t>(ggml_shape.size());
  return numbers({dims, static_cast<std::int32_t>(name.size()), type}) + numbers(ggml_shape) + name + data;
}

const std::string header = numbers({magic, 100, 4, 3, 1, 0});
const std::string six_floats("\0\0\x80\x3F\0\0\0\x40\0\0\x40\x40\0\0\x80\x40\0\0\xA0\x40\0\0\xC0\x40", 24);

void refused(const std::string& image, std::initializer_list<std::string_view> words) {
  check_refused([&] { parse_rwkv_cpp(bytes_of(image), "'m.bin'"); }, words);
}

TEST_SUITE("checkpoint/rwkv_cpp") {
  TEST_CASE("shapes are reversed into row-major order, FP32 and FP16 are read") {
    const auto image =
        header + tensor(0, {3, 2}, "emb.weight", six_floats) + tensor(1, {2}, "ln", std::string("\0\x3C\0\xC0", 4));
    const auto tensors = parse_rwkv_cpp(bytes_of(image), "'m.bin'");
    REQUIRE(tensors.size() == 2);
    CHECK(tensors[0].name == "emb.weight");
    CHECK(tensors[0].shape == std::vector<std::int64_t>{2, 3});
    CHECK(values<float>(tensors[0]) == std::vector<float>{1, 2, 3, 4, 5, 6});
    CHECK(values<float>(tensors[1]) == std::vector<float>{1, -2});
  }

  TEST_CASE("malformed images are refused with the reason") {
    refused("", {"0 bytes", "truncated"});
    refused(header.substr(0, 23), {"23 bytes", "24"});
    refused(numbers({0x12345678, 100, 4, 3, 1, 0}), {"0x12345678", "0x67676d66"});
    refused(numbers({magic, 99, 4, 3, 1, 0}), {"version 99", "100 and 101"});
    refused(numbers({magic, 101, 0, 3, 1, 0}), {"n_vocab is 0"});
    refused(numbers({magic, 101, 4, -3, 1, 0}), {"n_embed is -3"});
    refused(numbers({magic, 101, 4, 3, 0x7FFFFFFF, 0}), {"n_layer is 2147483647"});
    refused(numbers({magic, 101, 4, 3, 1, 6}), {"its header", "6 (Q4_3)", "not supported"});
    refused(numbers({magic, 101, 4, 3, 1, 77}), {"77 (unknown)"});
    refused(header + tensor(11, {3, 2}, "w", six_floats), {"'w'", "11 (Q2_K)", "not supported"});
    refused(header + tensor(-1, {3, 2}, "w", six_floats), {"'w'", "-1"});
    refused(header + "xyz", {"3 left", "truncated"});
    refused(header + tensor(0, {}, "w", ""), {"number of dimensions is 0"});
    refused(header + tensor(0, {1, 1, 1, 1, 1}, "w", ""), {"number of dimensions is 5"});
    refused(header + tensor(0, {6}, "", six_floats), {"name is 0"});
    refused(header + numbers({1, 0x7FFFFFFF, 0, 6}), {"name is 2147483647"});
    refused(header + numbers({1, -5, 0, 6}), {"name is -5"});
    refused(header + numbers({1, 50, 0, 6}) + "short", {"name needs 50 bytes", "5 left"});
    refused(header + tensor(0, {6}, "w\n", six_floats), {"printable ASCII"});
    refused(header + tensor(0, {3, -2}, "w", six_floats), {"'w'", "impossible shape [-2, 3]"});
    refused(header + tensor(0, {0}, "w", ""), {"impossible shape [0]"});
    refused(header + tensor(0, {0x7FFFFFFF, 0x7FFFFFFF, 0x7FFFFFFF}, "w", six_floats), {"impossible shape"});
    refused(header + tensor(0, {0x7FFFFFFF, 0x7FFFFFFF}, "w", six_floats), {"'w' needs", "24 left"});
    refused(header + tensor(0, {7}, "w", six_floats), {"'w' needs 28 bytes", "24 left"});
    refused(header + tensor(0, {6}, "w", six_floats) + tensor(0, {6}, "w", six_floats), {"'w' twice"});
  }

  TEST_CASE("damaged images are refused or valid, never anything else") {
    const auto valid =
        header + tensor(0, {3, 2}, "emb.weight", six_floats) + tensor(1, {2, 2}, "w", std::string(8, '\1'));
    const int refused_images = mutate(valid, 20000, [](const std::string& image) {
      for (const auto& one : parse_rwkv_cpp(bytes_of(image), "'m.bin'")) values<double>(one);
    });
    CHECK(refused_images > 5000);
    CHECK(refused_images < 20000);
  }

  TEST_CASE("the tiny models of rwkv.cpp open as checkpoints") {
    SKIP_WITHOUT_SHARED("models/rwkv.cpp");
    struct model {
      const char* file;
      const char* format;
      int embed, layers;
    };
    for (const model& expected : {model{"tiny-rwkv-4v0-660K-FP32.bin", "rwkv.cpp version 100", 128, 4},
                                  model{"tiny-rwkv-5v2-730K-FP32.bin", "rwkv.cpp version 101", 64, 12},
                                  model{"tiny-rwkv-7v0-834K-FP32.bin", "rwkv.cpp version 101", 64, 12}}) {
      const auto opened = checkpoint::open(*shared("models/rwkv.cpp") / expected.file);
      CHECK(opened.format() == expected.format);
      CHECK(opened.config()["model_type"] == "rwkv.cpp");
      CHECK(opened.config()["n_vocab"] == 256);
      CHECK(opened.config()["n_embed"] == expected.embed);
      CHECK(opened.config()["n_layer"] == expected.layers);
      CHECK(opened.at("emb.weight").shape == std::vector<std::int64_t>{256, expected.embed});
      CHECK(opened.at("head.weight").shape == std::vector<std::int64_t>{256, expected.embed});
      for (int layer = 0; layer < expected.layers; ++layer) {
        const auto name = "blocks." + std::to_string(layer) + ".att.key.weight";
        CHECK(opened.at(name).shape == std::vector<std::int64_t>{expected.embed, expected.embed});
      }
      for (const auto& one : opened.tensors()) {
        const auto numbers_of = values<float>(one);
        const float sum = std::accumulate(numbers_of.begin(), numbers_of.end(), 0.0F);
        CHECK_MESSAGE(std::isfinite(sum), one.name);
      }
    }
    const auto v4 = checkpoint::open(*shared("models/rwkv.cpp") / "tiny-rwkv-4v0-660K-FP32.bin");
    for (const float decay : values<float>(v4.at("blocks.0.att.time_decay")))
      CHECK(decay < 0);  // stored as -exp(time_decay)
    const auto v5 = checkpoint::open(*shared("models/rwkv.cpp") / "tiny-rwkv-5v2-730K-FP32.bin");
    for (const float decay : values<float>(v5.at("blocks.0.att.time_decay")))
      CHECK((decay > 0 && decay < 1));  // exp(-exp(.))
  }
}

}  // namespace
