// Image files against their formats' descriptions (IDX of MNIST, gzip, PNG), damaged ones, and patches and
// normalisation against numbers written out here.
#include <doctest/doctest.h>

#include <alphaform/architectures/images/image_input.hpp>
#include <cmath>
#include <numeric>

#include "../image_files.hpp"
#include "../temporary_folder.hpp"

namespace alphaform {
namespace {

using nlohmann::json;
using test::bytes_of;
using test::check_refused;
using test::gzip_bytes;
using test::idx_bytes;
using test::png_bytes;
using test::temporary_folder;

std::vector<std::uint8_t> counted(std::size_t n) {
  std::vector<std::uint8_t> numbers(n);
  std::iota(numbers.begin(), numbers.end(), std::uint8_t{0});
  return numbers;
}
images parsed(const std::string& file) { return parse_images(bytes_of(file), "'file'"); }
std::vector<std::uint8_t> labels(const std::string& file) { return parse_labels(bytes_of(file), "'file'"); }

TEST_CASE("IDX images are read by their description, plain and in gzip") {
  // The header of MNIST's files: 0x00000803, then three big-endian sizes.
  const std::string file = std::string("\0\0\x08\x03\0\0\0\x02\0\0\0\x02\0\0\0\x03", 16) + "abcdefghijkl";
  for (const std::string& bytes : {file, gzip_bytes(file)}) {
    const images all = parsed(bytes);
    CHECK(all.count == 2);
    CHECK(all.shape == image_shape{1, 2, 3});
    CHECK(std::string(all.at(1).begin(), all.at(1).end()) == "ghijkl");
  }
  const std::string known = std::string("\0\0\x08\x01\0\0\0\x03", 8) + "\7\2\1";
  for (const std::string& bytes : {known, gzip_bytes(known)})
    CHECK(labels(bytes) == std::vector<std::uint8_t>{7, 2, 1});
  const std::string large = idx_bytes({300, 100, 100}, std::vector<std::uint8_t>(3'000'000, 9));  // several steps
  CHECK(parsed(gzip_bytes(large)).samples == std::vector<std::uint8_t>(3'000'000, 9));
}

TEST_CASE("IDX files that are not whole, lie about their size or are something else are refused") {
  const std::string good = idx_bytes({2, 2, 3}, counted(12)), packed = gzip_bytes(good);
  const auto refused = [](const std::string& file, std::string_view word) {
    check_refused([&] { parsed(file); }, {"'file'", word});
  };
  for (const std::size_t size : {0U, 3U, 8U, 15U}) refused(good.substr(0, size), "no IDX");
  refused(good.substr(0, 27), "not whole");
  refused(good + "x", "not whole");
  refused(idx_bytes({0, 2, 3}, {}), "dimension 0");
  refused(idx_bytes({2, 2, 0}, {}), "dimension 2");
  refused(idx_bytes({0xFFFFFFFFU, 0xFFFFFFFFU, 0xFFFFFFFFU}, counted(12)), "4294967295");
  refused(idx_bytes({1U << 16, 1U << 16, 1U << 16}, counted(12)), "65536");
  refused(idx_bytes({12}, counted(12)), "no IDX");
  refused(std::string("\0\0\x0D\x03", 4) + good.substr(4), "no IDX");  // floats
  for (const std::size_t size : {2U, 10U, 20U}) refused(packed.substr(0, size), "cut off");
  refused(packed.substr(0, packed.size() - 1), "cut off");
  refused(packed + "x", "after its gzip data");
  refused(gzip_bytes(packed), "packed twice");
  std::string wrong = packed;
  wrong[wrong.size() - 6] ^= 1;  // its CRC-32
  refused(wrong, "checksum");
  check_refused([&] { labels(good); }, {"labels"});
  check_refused([&] { labels(gzip_bytes(good)); }, {"labels"});
}

TEST_CASE("a gzip file that unpacks to more than images may be is refused before it fills the memory") {
  // A stream of 2.8e8 zeros, made piece by piece: about 0.3 MB.
  z_stream stream{};
  REQUIRE(deflateInit2(&stream, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK);
  std::string zeros(1 << 20, '\0'), packed(1 << 22, '\0');
  stream.next_out = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_out = static_cast<uInt>(packed.size());
  for (int k = 0; k < 270; ++k) {
    stream.next_in = reinterpret_cast<Bytef*>(zeros.data());
    stream.avail_in = static_cast<uInt>(zeros.size());
    REQUIRE(deflate(&stream, k == 269 ? Z_FINISH : Z_NO_FLUSH) >= Z_OK);
  }
  packed.resize(stream.total_out);
  deflateEnd(&stream);
  check_refused([&] { parsed(packed); }, {"too large"});
}

TEST_CASE("damaged image files are read or refused and never anything else") {
  const std::string plain = idx_bytes({2, 2, 3}, counted(12));
  CHECK(test::mutate(plain, 300, [](const std::string& b) { parsed(b); }) > 30);
  CHECK(test::mutate(gzip_bytes(plain), 300, [](const std::string& b) { parsed(b); }) > 100);
  CHECK(test::mutate(png_bytes(4, 3, PNG_FORMAT_GRAY, counted(12)), 300, [](const std::string& b) { parsed(b); }) >
        100);
}

TEST_CASE("PNG pictures are read as their samples, colours one after the other, and others than 8 bits are refused") {
  const images grey = parsed(png_bytes(4, 3, PNG_FORMAT_GRAY, counted(12)));
  CHECK(grey.count == 1);
  CHECK(grey.shape == image_shape{1, 3, 4});
  CHECK(grey.samples == counted(12));
  const images coloured = parsed(png_bytes(2, 2, PNG_FORMAT_RGB, counted(12)));
  CHECK(coloured.shape == image_shape{3, 2, 2});
  CHECK(coloured.samples == std::vector<std::uint8_t>{0, 3, 6, 9, 1, 4, 7, 10, 2, 5, 8, 11});
  check_refused([] { parsed(png_bytes(3, 1, PNG_FORMAT_RGBA, counted(12))); }, {"transparency"});
  check_refused([] { parsed(png_bytes(2, 3, PNG_FORMAT_LINEAR_Y, counted(12))); }, {"16 bits"});
}

TEST_CASE("patches go in row order, each channel by channel and row by row") {
  const std::vector<float> grey{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};  // 4 x 4
  CHECK(in_patches(grey, {1, 4, 4}, 1) == grey);
  CHECK(in_patches(grey, {1, 4, 4}, 4) == std::vector<float>{0, 1, 4, 5, 2, 3, 6, 7, 8, 9, 12, 13, 10, 11, 14, 15});
  // 2 channels of 2 x 4: a patch has the 4 values of the first channel, then those of the second.
  CHECK(in_patches(grey, {2, 2, 4}, 8) == std::vector<float>{0, 1, 4, 5, 8, 9, 12, 13, 2, 3, 6, 7, 10, 11, 14, 15});
  for (const std::size_t features : {2U, 3U, 9U, 32U})
    check_refused([&] { in_patches(grey, {1, 4, 4}, features); }, {"no square patches"});
  check_refused([&] { in_patches(grey, {1, 4, 6}, 4); }, {"24"});
}

/// The input of a model of patches of 4 values with this configuration.
image_input input_of(const json& config) {
  const temporary_folder folder;
  const std::string header = R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})";
  folder.write("model.safetensors",
               std::string(1, static_cast<char>(header.size())) + std::string(7, '\0') + header + std::string(4, '\0'));
  folder.write("config.json", config.dump());
  return image_input_of(checkpoint::open(folder.path()), 4);
}
const json plain = {{"img_size", 4}, {"patch_size", 2}, {"input", {{"mean", 0.5}, {"std", 0.25}}}};

TEST_CASE("values are (sample / 255 - mean) / std in patches, for every way to write the size") {
  const images all{2, {1, 2, 4}, counted(16)};
  for (const json& input : {json{{"mean", 0.5}, {"std", {0.25}}, {"image", {2, 4}}, {"order", "row-major"}},
                            json{{"mean", {0.5}}, {"std", 0.25}, {"shape", {1, 2, 4}}}}) {
    const std::vector<float> values = values_of(input_of({{"input", input}}), all, 1);
    const double samples[] = {8, 9, 12, 13, 10, 11, 14, 15};
    REQUIRE(values.size() == 8);
    for (std::size_t k = 0; k < 8; ++k)
      CHECK(std::abs(values[k] - (samples[k] / 255 - 0.5) / 0.25) < 1e-6);  // float32 of numbers up to 2
  }
  const image_input square = input_of(plain);
  CHECK(square.shape == image_shape{1, 4, 4});
  CHECK(square.side == 2);
  CHECK(square.columns() == 2);
  check_refused([&] { values_of(square, all, 0); }, {"4 x 4", "2 x 4"});
  check_refused([&] { values_of(square, {1, {1, 4, 4}, counted(16)}, 1); }, {"image 1", "0 to 0"});
}

TEST_CASE("configurations that do not say how images are read are refused by the name of what is wrong") {
  const auto refused = [](const char* pointer, const json& value, std::string_view word) {
    json config = plain;
    config[json::json_pointer(pointer)] = value;
    CAPTURE(config.dump());
    check_refused([&] { input_of(config); }, {word});
  };
  refused("/input", 3, "'input'");
  refused("/input/mean", nullptr, "input.mean");
  refused("/input/mean", {0.5, 0.5}, "input.mean");
  refused("/input/std", 0, "greater than 0");
  refused("/input/std", -1, "greater than 0");
  refused("/input/std", "1", "input.std");
  refused("/input/std", 1e300, "input.std");
  refused("/input/order", "column-major", "input.order");
  refused("/img_size", 5, "square patches");
  refused("/img_size", 0, "img_size");
  refused("/img_size", -4, "img_size");
  refused("/img_size", 1e9, "img_size");
  refused("/img_size", {4, 4, 4}, "img_size");
  refused("/input/shape", {4, 4}, "input.shape");
  refused("/channels", 3, "square patches");
  refused("/patch_size", 4, "patch_size");
  refused("/stride", 1, "stride");
  json without = plain;
  without.erase("img_size");
  check_refused([&] { input_of(without); }, {"size"});
  without = plain;
  without["input"].erase("std");
  check_refused([&] { input_of(without); }, {"input.std"});
}

}  // namespace
}  // namespace alphaform
