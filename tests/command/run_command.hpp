// Runs the command alphaform as a user does and keeps what it printed and how it ended.
#pragma once
#include <doctest/doctest.h>
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>

#include <iterator>
#include <vector>

#include "../temporary_folder.hpp"

extern char** environ;

namespace alphaform::test {

struct outcome final {
  int status = -1;  ///< -1 if it did not exit by itself
  std::string out, err;
};

inline std::string bytes_of_file(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

inline outcome run_command(const std::vector<std::string>& arguments) {
  const temporary_folder folder;
  const std::filesystem::path out = folder.path() / "out", err = folder.path() / "err";
  std::string name = ALPHAFORM_COMMAND;
  std::vector<std::string> words = arguments;
  std::vector<char*> list{name.data()};
  for (std::string& word : words) list.push_back(word.data());
  list.push_back(nullptr);
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&files, 1, out.c_str(), O_WRONLY | O_CREAT, 0600);
  posix_spawn_file_actions_addopen(&files, 2, err.c_str(), O_WRONLY | O_CREAT, 0600);
  pid_t child = 0;
  const int failed = posix_spawn(&child, name.c_str(), &files, nullptr, list.data(), environ);
  posix_spawn_file_actions_destroy(&files);
  REQUIRE(failed == 0);
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, bytes_of_file(out), bytes_of_file(err)};
}

/// What a run that must succeed prints.
inline std::string output_of(const std::vector<std::string>& arguments) {
  const outcome o = run_command(arguments);
  INFO(o.err);
  CHECK(o.status == 0);
  CHECK(o.err.empty());
  return o.out;
}

/// A refusal of the request: status 2, nothing on standard output, one sentence that names the command and has the
/// word.
inline void check_refusal(const std::vector<std::string>& arguments, std::string_view word) {
  std::string line;
  for (const std::string& a : arguments) line += a + " ";
  CAPTURE(line);
  const outcome o = run_command(arguments);
  CAPTURE(o.err);
  CHECK(o.status == 2);
  CHECK(o.out.empty());
  CHECK(o.err.starts_with("alphaform: "));
  CHECK(std::count(o.err.begin(), o.err.end(), '\n') == 1);
  CHECK(o.err.ends_with('\n'));
  CHECK(o.err.find(word) != std::string::npos);
}

}  // namespace alphaform::test
