// What is kept from one run to the next: found again as it was, or not at all.
#include <doctest/doctest.h>

#include <alphaform/backends/kept_files.hpp>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <string>

#include "../temporary_folder.hpp"

namespace alphaform {
namespace {

namespace fs = std::filesystem;
using test::temporary_folder;

/// A variable of the environment, as it was before when this goes.
class variable final {
 public:
  variable(const char* name, const char* value) : name_(name) {
    if (const char* before = std::getenv(name)) before_ = before;
    value != nullptr ? setenv(name, value, 1) : unsetenv(name);
  }
  variable(const variable&) = delete;
  variable& operator=(const variable&) = delete;
  ~variable() { before_ ? setenv(name_, before_->c_str(), 1) : unsetenv(name_); }

 private:
  const char* name_;
  std::optional<std::string> before_;
};

fs::path only_file(const fs::path& folder) {
  const fs::directory_iterator first(folder);
  REQUIRE(std::distance(fs::begin(first), fs::end(first)) == 1);
  return fs::directory_iterator(folder)->path();
}

TEST_CASE("what was kept is found by what it was made from, and not by anything else") {
  const temporary_folder parent;
  const fs::path folder = parent.path() / "a" / "cache";
  CHECK_FALSE(kept(folder, "source"));
  const std::string code("\0\1\xff made of it\n", 14);
  keep(folder, "source", code);
  CHECK(kept(folder, "source") == code);
  CHECK_FALSE(kept(folder, "sourcf"));
  CHECK_FALSE(kept(folder, ""));
  keep(folder, "source", "other");
  CHECK(kept(folder, "source") == "other");
  keep(folder, "", "");
  CHECK(kept(folder, "") == "");
  CHECK((fs::status(folder).permissions() & (fs::perms::group_all | fs::perms::others_all)) == fs::perms::none);
}

TEST_CASE("what is damaged, or in a folder that others may write to, is not found") {
  const temporary_folder parent;
  const fs::path folder = parent.path() / "cache";
  keep(folder, "source", "code of it");
  const fs::path file = only_file(folder);
  std::string whole;
  {
    std::ifstream in(file, std::ios::binary);
    whole.assign(std::istreambuf_iterator<char>(in), {});
  }
  const auto with = [&](const std::string& bytes) {
    std::ofstream(file, std::ios::binary) << bytes;
    return kept(folder, "source");
  };
  for (std::size_t i = 0; i < whole.size(); ++i) {
    std::string damaged = whole;
    damaged[i] = static_cast<char>(damaged[i] ^ 4);
    CHECK_FALSE(with(damaged));
    CHECK_FALSE(with(whole.substr(0, i)));
  }
  CHECK_FALSE(with(whole + "x"));
  CHECK(with(whole) == "code of it");
  fs::permissions(folder, fs::perms::others_write, fs::perm_options::add);
  CHECK_FALSE(kept(folder, "source"));
  keep(folder, "another", "code");
  CHECK(only_file(folder) == file);
}

TEST_CASE("a folder that cannot be made keeps nothing, and nothing fails") {
  const temporary_folder parent;
  const fs::path file = parent.write("file", "");
  keep(file / "cache", "source", "code");
  CHECK_FALSE(kept(file / "cache", "source"));
}

TEST_CASE("the first ones go where all take more than they may") {
  const temporary_folder parent;
  const fs::path folder = parent.path() / "cache";
  const std::string code(1000, 'c');
  const auto name = [](int i) { return "source " + std::to_string(i); };
  for (int i = 0; i < 8; ++i) {
    keep(folder, name(i), code, 1 << 20);
    for (const auto& e : fs::directory_iterator(folder))  // so that the order does not hang on the clock's steps
      fs::last_write_time(e, fs::last_write_time(e) - std::chrono::seconds(1));
  }
  keep(folder, name(8), code, 6000);
  CHECK(kept(folder, name(8)) == code);
  CHECK(kept(folder, name(7)) == code);
  for (int i = 0; i < 6; ++i) CHECK_FALSE(kept(folder, name(i)));
}

TEST_CASE("the folder is the user's, or what ALPHAFORM_CACHE says") {
  const variable home("HOME", "/home/somebody");
  {
    const variable own("ALPHAFORM_CACHE", nullptr), xdg("XDG_CACHE_HOME", nullptr);
    CHECK(cache_folder() == fs::path("/home/somebody/.cache/alphaform"));
  }
  {
    const variable own("ALPHAFORM_CACHE", nullptr), xdg("XDG_CACHE_HOME", "/elsewhere");
    CHECK(cache_folder() == fs::path("/elsewhere/alphaform"));
  }
  {
    const variable own("ALPHAFORM_CACHE", "/mine");
    CHECK(cache_folder() == fs::path("/mine"));
  }
  const variable own("ALPHAFORM_CACHE", "");
  CHECK_FALSE(cache_folder());
}

}  // namespace
}  // namespace alphaform
