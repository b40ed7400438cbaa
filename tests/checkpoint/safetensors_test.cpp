// safetensors files: values of third-party models, exact conversions, and the refusal of every kind of malformed file.
#include <doctest/doctest.h>

#include <alphaform/architectures/checkpoint/checkpoint.hpp>
#include <alphaform/architectures/checkpoint/safetensors.hpp>
#include <alphaform/error.hpp>
#include <cmath>
#include <cstring>
#include <limits>

#include "../shared_data.hpp"
#include "../temporary_folder.hpp"

namespace {

using alphaform::checkpoint;
using alphaform::parse_safetensors;
using alphaform::stored_tensor;
using alphaform::values;
using namespace alphaform::test;

/// A safetensors image with this header and this many bytes of data.
std::string image_of(const std::string& header, const std::string& data) {
  std::string image(8, '\0');
  const std::uint64_t length = header.size();
  std::memcpy(image.data(), &length, 8);
  return image + header + data;
}

/// An image with one tensor "w" described by this JSON and 8 bytes of data.
std::string one(const std::string& entry) { return image_of(R"({"w": )" + entry + "}", std::string(8, '\1')); }

void refused(const std::string& image, std::initializer_list<std::string_view> words) {
  check_refused([&] { parse_safetensors(bytes_of(image), "'m.safetensors'"); }, words);
}

stored_tensor tensor_of(alphaform::dtype type, const std::string& data) {
  return {"w", type, {static_cast<std::int64_t>(data.size() / alphaform::bytes_of(type))}, bytes_of(data)};
}

TEST_SUITE("checkpoint/safetensors") {
  TEST_CASE("a valid image gives names, shapes and values, at any alignment") {
    const std::string data("\x00\x00\xC0\x3F\x00\x00\x00\xC0\xFE\xFF\xFF\xFF\xFF\xFF\xFF\xFF", 16);
    const auto image =
        image_of(R"({"__metadata__":{"format":"pt"},"b":{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]},)"
                 R"("a":{"dtype":"I64","shape":[],"data_offsets":[8,16]},"e":{"dtype":"F16","shape":[0,3],)"
                 R"("data_offsets":[16,16]}}   )",
                 data);
    for (const std::size_t shift : {0U, 1U, 3U}) {
      const std::string moved = std::string(shift, ' ') + image;
      const auto tensors = parse_safetensors(bytes_of(moved).subspan(shift), "'m.safetensors'");
      REQUIRE(tensors.size() == 3);
      CHECK(tensors[0].name == "a");
      CHECK(tensors[0].shape.empty());
      CHECK(values<std::int64_t>(tensors[0]) == std::vector<std::int64_t>{-2});
      CHECK(tensors[1].shape == std::vector<std::int64_t>{2, 1});
      CHECK(values<float>(tensors[1]) == std::vector<float>{1.5F, -2.0F});
      CHECK(values<double>(tensors[2]).empty());
    }
  }

  TEST_CASE("f16 is upcast exactly for all 65536 bit patterns") {
    std::string data(std::size_t{2} * 65536, '\0');
    for (unsigned i = 0; i < 65536; ++i) {
      const auto half = static_cast<std::uint16_t>(i);
      std::memcpy(&data[std::size_t{2} * i], &half, 2);
    }
    const auto floats = values<float>(tensor_of(alphaform::dtype::f16, data));
    for (unsigned i = 0; i < 65536; ++i) {  // IEEE 754-2019, 3.4: (-1)^s 2^(e-15) (1 + f/1024), subnormal 2^-14 f/1024
      const int exponent = static_cast<int>(i >> 10U & 31U);
      const double fraction = (i & 1023U) / 1024.0;
      const double size = exponent == 0 ? std::ldexp(fraction, -14) : std::ldexp(1 + fraction, exponent - 15);
      const double expected = i >> 15U != 0 ? -size : size;
      const bool special = exponent == 31;
      const bool same = special ? (fraction == 0 ? std::isinf(floats[i]) : std::isnan(floats[i]))
                                : static_cast<double>(floats[i]) == expected;
      REQUIRE_MESSAGE((same && std::signbit(floats[i]) == (i >> 15U != 0)), "bit pattern ", i);
    }
  }

  TEST_CASE("bf16 is the upper half of a float") {
    const auto floats =
        values<float>(tensor_of(alphaform::dtype::bf16, std::string("\x80\x3F\x49\x40\x80\xFF\x01\x00", 8)));
    CHECK(floats == std::vector<float>{1.0F, 3.140625F, -std::numeric_limits<float>::infinity(), 0x1p-133F});
    CHECK(values<double>(tensor_of(alphaform::dtype::bf16, "\x49\x40")) == std::vector<double>{3.140625});
  }

  TEST_CASE("floats convert only to floats, integers only to integers") {
    const std::string data("\xFF\xFE\xFD\xFC\xFB\xFA\xF9\xF8", 8);
    CHECK(values<std::int64_t>(tensor_of(alphaform::dtype::i8, data))[7] == -8);
    CHECK(values<std::int64_t>(tensor_of(alphaform::dtype::u8, data))[7] == 248);
    CHECK(values<std::int64_t>(tensor_of(alphaform::dtype::i16, data))[0] == -257);
    CHECK(values<std::int64_t>(tensor_of(alphaform::dtype::i32, data))[0] == -50462977);
    check_refused([&] { values<float>(tensor_of(alphaform::dtype::i64, data)); }, {"'w'", "stored as i64", "f32"});
    check_refused([&] { values<std::int64_t>(tensor_of(alphaform::dtype::f32, data)); },
                  {"'w'", "stored as f32", "i64"});
    check_refused([&] { values<double>(tensor_of(alphaform::dtype::boolean, data)); }, {"stored as boolean"});
    check_refused([&] { values<float>(tensor_of(alphaform::dtype::f8_e4m3, data)); }, {"stored as f8_e4m3"});
  }

  TEST_CASE("malformed images are refused with the reason") {
    const std::string fits = R"("shape":[2],"data_offsets":[0,8]})";
    CHECK(parse_safetensors(bytes_of(one(R"({"dtype":"F32",)" + fits)), "x").size() == 1);
    refused("", {"0 bytes", "truncated"});
    refused("1234567", {"'m.safetensors'", "7 bytes", "at least 8"});
    refused(std::string("\0\0\0\0\0\0\4\0{}", 10), {"its header says 1125899906842624 bytes but the file has 10"});
    refused(std::string("\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF{}", 10), {"18446744073709551615"});
    refused(image_of("", ""), {"not valid JSON"});
    refused(image_of("{", ""), {"not valid JSON"});
    refused(image_of("[]", ""), {"must be a JSON object"});
    refused(image_of("{\"\xFF\": 1}", ""), {"not valid JSON"});
    refused(image_of(R"({"w": 3})", ""), {"'w'", "JSON object"});
    refused(one(R"({)" + fits), {"'dtype' is missing"});
    refused(one(R"({"dtype":"F31",)" + fits), {"'w'", "dtype 'F31' is not known"});
    refused(one(R"({"dtype":7,)" + fits), {"'dtype' must be a string"});
    refused(one(R"({"dtype":"F32","data_offsets":[0,8]})"), {"'shape' is missing"});
    refused(one(R"({"dtype":"F32","shape":2,"data_offsets":[0,8]})"), {"shape must be a JSON array"});
    refused(one(R"({"dtype":"F32","shape":[-2],"data_offsets":[0,8]})"), {"shape", "-2"});
    refused(one(R"({"dtype":"F32","shape":[2.0],"data_offsets":[0,8]})"), {"shape", "whole number"});
    refused(one(R"({"dtype":"F32","shape":["2"],"data_offsets":[0,8]})"), {"shape", "whole number"});
    refused(one(R"({"dtype":"F32","shape":[NaN],"data_offsets":[0,8]})"), {"not valid JSON"});
    refused(one(R"({"dtype":"F32","shape":[1e999],"data_offsets":[0,8]})"), {"out of range"});
    refused(one(R"({"dtype":"F32","shape":[18446744073709551615],"data_offsets":[0,8]})"), {"whole number"});
    refused(one(R"({"dtype":"F32","shape":[4611686018427387904,2],"data_offsets":[0,8]})"), {"overflows"});
    refused(one(R"({"dtype":"F32","shape":[2]})"), {"'data_offsets' is missing"});
    refused(one(R"({"dtype":"F32","shape":[2],"data_offsets":[0]})"), {"two numbers"});
    refused(one(R"({"dtype":"F32","shape":[2],"data_offsets":[-1,7]})"), {"data_offsets", "-1"});
    refused(one(R"({"dtype":"F32","shape":[2],"data_offsets":[8,0]})"), {"[8, 0]", "outside the 8 bytes"});
    refused(one(R"({"dtype":"F32","shape":[2],"data_offsets":[1,9]})"), {"[1, 9]", "truncated"});
    refused(one(R"({"dtype":"F32","shape":[3],"data_offsets":[0,8]})"), {"needs 12 bytes", "hold 8"});
    refused(one(R"({"dtype":"F32","shape":[1],"data_offsets":[0,4]})"), {"last 4 bytes belong to no tensor"});
    refused(one(R"({"dtype":"F32","shape":[1],"data_offsets":[4,8]})"), {"'w'", "hole"});
    refused(one(R"({"dtype":"F32",)" + fits + R"(,"v":{"dtype":"F32",)" + fits), {"overlaps"});
    refused(one(R"({"dtype":"F32",)" + fits + R"(,"w":{"dtype":"F32",)" + fits), {"'w' occurs twice"});
    refused(one(R"({"dtype":"F32","dtype":"I32",)" + fits), {"'dtype' occurs twice"});
    refused(image_of(R"({"__metadata__":{"n":1}})", ""), {"__metadata__", "strings"});
    refused(image_of(R"({"__metadata__":"n"})", ""), {"__metadata__"});
    refused(image_of(std::string(100000, '['), ""), {"deeper than 64"});
    std::string deep = R"({"a":)";
    for (int i = 0; i < 100; ++i) deep += R"({"a":)";
    refused(image_of(deep, ""), {"deeper than 64"});
  }

  TEST_CASE("a checkpoint opens a file, a folder and a sharded index") {
    const temporary_folder folder;
    const std::string data(8, '\0');
    const auto file = [&](const char* name, const char* tensor) {
      return folder.write(
          name,
          image_of(std::string(R"({")") + tensor + R"(":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", data));
    };
    const auto index = [&](const std::string& map) {
      return folder.write("model.safetensors.index.json", R"({"metadata":{"total_size":16},"weight_map":)" + map + "}");
    };
    check_refused([&] { checkpoint::open(folder.path()); },
                  {"neither model.safetensors nor model.safetensors.index.json"});
    check_refused([&] { checkpoint::open(folder.path() / "no.safetensors"); }, {"cannot read", "No such file"});
    check_refused([&] { checkpoint::open(folder.write("m.pth", "PK..")); },
                  {"m.pth", "torch.save", "convert it to safetensors"});

    file("a.safetensors", "x.weight");
    file("b.safetensors", "y.weight");
    const auto path = index(R"({"y.weight":"b.safetensors","x.weight":"a.safetensors"})");
    for (const auto& opened : {checkpoint::open(path), checkpoint::open(folder.path())}) {
      CHECK(opened.format() == "safetensors, 2 shards");
      REQUIRE(opened.tensors().size() == 2);
      CHECK(opened.tensors()[0].name == "x.weight");
      CHECK(opened.find("y.weight")->shape == std::vector<std::int64_t>{2});
      CHECK(opened.find("z") == nullptr);
      CHECK(opened.config().is_null());
      check_refused([&] { opened.at("y.weights"); },
                    {"has no tensor 'y.weights'", "2 tensors", "nearest name is 'y.weight'"});
    }
    for (const char* name : {"../a.safetensors", "/a.safetensors", "d/a.safetensors", "..", "", "a.bin"}) {
      index(std::string(R"({"x.weight":")") + name + "\"}");
      check_refused([&] { checkpoint::open(path); }, {"'x.weight'", "plain name"});
    }
    index(R"({"x.weight":7})");
    check_refused([&] { checkpoint::open(path); }, {"'x.weight'", "plain name"});
    index(R"({"z.weight":"a.safetensors"})");
    check_refused([&] { checkpoint::open(path); }, {"'z.weight'", "'a.safetensors'", "no such tensor"});
    index(R"({"x.weight":"c.safetensors"})");
    check_refused([&] { checkpoint::open(path); }, {"c.safetensors", "No such file"});
    index("[]");
    check_refused([&] { checkpoint::open(path); }, {"weight_map"});

    file("model.safetensors", "w");
    folder.write("config.json", R"({"model_type":"mamba2","limit":[0.0, Infinity, -Infinity],"name":"an \"Infinity"})");
    const auto single = checkpoint::open(folder.path());
    CHECK(single.format() == "safetensors");
    CHECK(single.path() == folder.path());
    CHECK(single.config()["limit"][1]["__float__"] == "Infinity");
    CHECK(single.config()["limit"][2]["__float__"] == "-Infinity");
    CHECK(single.config()["name"] == "an \"Infinity");
    const auto by_file = checkpoint::open(folder.path() / "model.safetensors");
    CHECK(by_file.config()["model_type"] == "mamba2");
    folder.write("config.json", R"({"a":1,"a":2})");
    check_refused([&] { checkpoint::open(folder.path()); }, {"config.json", "'a' occurs twice"});
  }

  TEST_CASE("damaged images are refused or valid, never anything else") {
    const auto valid =
        image_of(R"({"a":{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]},"b":{"dtype":"I64","shape":[1],)"
                 R"("data_offsets":[8,16]}})",
                 std::string(16, '\7'));
    std::size_t elements = 0;
    const int refused_images = mutate(valid, 20000, [&](const std::string& image) {
      for (const auto& tensor : parse_safetensors(bytes_of(image), "'m.safetensors'")) {
        if (tensor.type == alphaform::dtype::f32) elements += values<double>(tensor).size();
      }
    });
    CHECK(refused_images > 10000);
    CHECK(refused_images < 20000);
    CHECK(elements > 0);
  }

  TEST_CASE(
      "a trained model has the documented number of parameters, and its recorded logits the recorded predictions") {
    SKIP_WITHOUT_SHARED("models/tiny/mamba");
    const auto mamba = checkpoint::open(*shared("models/tiny/mamba"));
    CHECK(mamba.config()["model_type"] == "mamba");
    std::int64_t parameters = 0;
    for (const auto& tensor : mamba.tensors()) parameters += static_cast<std::int64_t>(values<float>(tensor).size());
    CHECK(parameters == 393154);  // models/tiny/README.md, table "Models and accuracy"
    CHECK(mamba.at("score.weight").shape == std::vector<std::int64_t>{2, 64});

    const auto reference = checkpoint::open(*shared("models/tiny/mamba") / "reference.safetensors");
    const auto logits = values<double>(reference.at("logits"));
    const auto predicted = values<std::int64_t>(reference.at("predicted"));
    REQUIRE(logits.size() == 64);
    for (std::size_t i = 0; i < 32; ++i) CHECK((logits[2 * i + 1] > logits[2 * i] ? 1 : 0) == predicted[i]);
  }
}

}  // namespace
