// Pictures of |H| that the command draws, decoded with libpng.
#include <doctest/doctest.h>
#include <png.h>

#include <algorithm>
#include <array>
#include <vector>

#include "../temporary_folder.hpp"
#include "run_command.hpp"

namespace alphaform::test {
namespace {

using pixel = std::array<unsigned char, 3>;
struct picture final {
  std::size_t width = 0, height = 0;
  std::vector<pixel> pixels;
  const pixel& at(std::size_t x, std::size_t y) const { return pixels.at(y * width + x); }
};

picture decoded(const std::filesystem::path& file) {
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  REQUIRE(png_image_begin_read_from_file(&image, file.c_str()) != 0);
  image.format = PNG_FORMAT_RGB;
  picture p{image.width, image.height, std::vector<pixel>(std::size_t{image.width} * image.height)};
  REQUIRE(png_image_finish_read(&image, nullptr, p.pixels.data(), 0, nullptr) != 0);
  return p;
}

TEST_CASE("draw shows two layers and four channels of Mamba, and no map has an entry above its diagonal") {
  const temporary_folder folder;
  const std::string file = (folder.path() / "mamba.png").string();
  const outcome o = run_command({"draw", ALPHAFORM_SOURCE_DIR "/models/golden/mamba", "-o", file});
  CAPTURE(o.err);
  REQUIRE(o.status == 0);
  const picture p = decoded(file);
  constexpr std::size_t side = 336, title = 22, gap = 14, cell = 7;  // 48 tokens of 7 pixels
  REQUIRE(p.width == 4 * side + 3 * gap);
  REQUIRE(p.height == 2 * (title + side) + gap);
  constexpr pixel nothing{0x44, 0x01, 0x54}, most{0xfd, 0xe7, 0x25};  // both ends of viridis
  for (std::size_t row = 0; row < 2; ++row)
    for (std::size_t column = 0; column < 4; ++column) {
      bool has_most = false;
      for (std::size_t t = 0; t < 48; ++t)
        for (std::size_t s = 0; s < 48; ++s) {
          const pixel& at = p.at(column * (side + gap) + s * cell, row * (title + side + gap) + title + t * cell);
          if (s > t) CHECK(at == nothing);
          has_most = has_most || at == most;
        }
      CHECK(has_most);
    }
}

TEST_CASE("draw refuses what it has no text for") {
  const temporary_folder folder;
  const std::string file = (folder.path() / "x.png").string();
  check_refusal({"draw", ALPHAFORM_SOURCE_DIR "/models/golden/mamba", "--ids", "999", "-o", file},
                "outside the vocabulary");
  check_refusal({"draw", ALPHAFORM_SOURCE_DIR "/models/vim", "-o", file}, "reads images");
  check_refusal({"draw", ALPHAFORM_SOURCE_DIR "/models/nothing", "-o", file}, "models/nothing");
  CHECK_FALSE(exists(folder.path() / "x.png"));
}

TEST_CASE("overview and support name every architecture") {
  const std::string overview = run_command({"overview"}).out, support = run_command({"support"}).out;
  for (const std::string name : {"mamba", "rwkv7", "hyena", "attention"}) {
    CHECK(overview.find("\n  " + name + " ") != std::string::npos);
    CHECK(support.find("\n  " + name + " ") != std::string::npos);
  }
  CHECK(support.find("Reverse needs the whole text") != std::string::npos);
}

}  // namespace
}  // namespace alphaform::test
