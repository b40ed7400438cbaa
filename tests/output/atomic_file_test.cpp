// A file is complete or it is as it was; nothing else stays in its folder. Works for root, too: no test relies on
// modes.
#include <doctest/doctest.h>

#include <alphaform/error.hpp>
#include <alphaform/explain/output/atomic_file.hpp>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>

namespace {

namespace fs = std::filesystem;
using alphaform::write_file;

/// A fresh folder, removed at the end of the test.
struct scratch_folder {
  fs::path path = make();
  scratch_folder() = default;
  scratch_folder(const scratch_folder&) = delete;
  scratch_folder& operator=(const scratch_folder&) = delete;
  ~scratch_folder() { fs::remove_all(path); }

  static fs::path make() {
    std::string name = (fs::temp_directory_path() / "alphaform-test-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    return name;
  }
};

std::string read(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::ptrdiff_t entries(const fs::path& folder) {
  return std::distance(fs::directory_iterator(folder), fs::directory_iterator{});
}

}  // namespace

TEST_CASE("write_file: all bytes arrive, an old file is replaced, no temporary file stays") {
  const scratch_folder folder;
  const std::string bytes("a\0b\r\n\xff", 6);
  write_file(folder.path / "f", std::string(100000, 'x'));
  CHECK(read(folder.path / "f") == std::string(100000, 'x'));
  write_file(folder.path / "f", bytes);
  CHECK(read(folder.path / "f") == bytes);
  write_file(folder.path / "empty", "");
  CHECK(fs::file_size(folder.path / "empty") == 0);
  CHECK(entries(folder.path) == 2);
}

TEST_CASE("write_file: a folder that is a file, or missing, is named in the error") {
  const scratch_folder folder;
  write_file(folder.path / "file", "kept");
  const auto expect = [](const fs::path& target, const std::string& reason) {
    CHECK_THROWS_WITH_AS(
        write_file(target, "abc"),
        ("cannot write '" + target.string() + "': " + reason +
         "; choose a file in an existing folder that you may write to, on a disk with room for 3 bytes")
            .c_str(),
        alphaform::runtime_error);
  };
  expect(folder.path / "file" / "x", "Not a directory");
  expect(folder.path / "missing" / "x", "No such file or directory");
  CHECK(read(folder.path / "file") == "kept");
  CHECK(entries(folder.path) == 1);
}

TEST_CASE("write_file: if the last step fails the target is untouched and the temporary file is gone") {
  const scratch_folder folder;
  fs::create_directory(folder.path / "target");
  write_file(folder.path / "target" / "inside", "kept");
  CHECK_THROWS_AS(write_file(folder.path / "target", "abc"), alphaform::runtime_error);
  CHECK(read(folder.path / "target" / "inside") == "kept");
  CHECK(entries(folder.path) == 1);
}

TEST_CASE("make_directory: makes parents, accepts what is there, refuses a file") {
  const scratch_folder folder;
  const fs::path deep = folder.path / "a" / "b";
  CHECK(alphaform::make_directory(deep) == deep);
  CHECK(fs::is_directory(deep));
  CHECK(alphaform::make_directory(deep) == deep);
  write_file(deep / "file", "kept");
  CHECK_THROWS_AS(alphaform::make_directory(deep / "file"), alphaform::runtime_error);
  CHECK_THROWS_AS(alphaform::make_directory(deep / "file" / "c"), alphaform::runtime_error);
  CHECK(read(deep / "file") == "kept");
}
