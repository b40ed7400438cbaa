// The terminal shows what is there and obeys nothing that came with the text.
#include <doctest/doctest.h>

#include <algorithm>
#include <alphaform/explain/output/terminal.hpp>
#include <alphaform/explain/output/utf8.hpp>
#include <regex>

#include "sample.hpp"

using alphaform::terminal_text;
using alphaform::visible_text;

TEST_CASE("terminal: control characters of tokens, labels and names are escaped") {
  alphaform::explanation e = alphaform::sample::hostile();
  e.model = "m\x07\r";
  e.predictions[0].label = "yes\x1b]0;title\x07";
  e.checks[0].name = "c\x9b\x31m";
  const std::string plain = terminal_text(e, false);
  CHECK(std::none_of(plain.begin(), plain.end(), [](char c) { return (c >= 0 && c < 32 && c != '\n') || c == 127; }));
  CHECK(plain.find("a\\x1b[31m\\u{2028}\\n") != std::string::npos);
  CHECK(plain.find("m\\x07\\r") != std::string::npos);
  CHECK(plain.find("c\\x9b") != std::string::npos);
  // In colour the only sequences are a style of our own making and the reset.
  const std::regex ours("\x1b\\[((3;)?48;2;[0-9]+;[0-9]+;[0-9]+;38;2;[0-9]+;[0-9]+;[0-9]+|0)m");
  const std::string colour = terminal_text(e, true);
  const std::string rest = std::regex_replace(colour, ours, "");
  CHECK(rest != colour);
  CHECK(rest.find('\x1b') == std::string::npos);
  CHECK(rest.find("a\\x1b[31m\\u{2028}\\n") != std::string::npos);
}

TEST_CASE("terminal: backgrounds are the diverging palette at score / largest magnitude") {
  alphaform::explanation e = alphaform::sample::hostile();
  e.scores = {0.0F, -0.5F, 0.5F};
  const std::string text = terminal_text(e, true);
  CHECK(text.find("\x1b[3;48;2;247;247;247;38;2;0;0;0m<cls>\x1b[0m") != std::string::npos);
  CHECK(text.find("\x1b[48;2;5;48;97;38;2;255;255;255m</script>") != std::string::npos);
  CHECK(text.find("\x1b[48;2;103;0;31;38;2;255;255;255ma\\x1b") != std::string::npos);
}

TEST_CASE("terminal: the plain table has token, score and a bar in proportion") {
  alphaform::explanation e = alphaform::sample::hostile();
  e.pieces = {"<cls>", " good", "\u597d"};  // the last one is two columns wide
  e.scores = {0.25F, -1.0F, 0.5F};
  const std::string text = terminal_text(e, false);
  CHECK(text.find("<cls>        +0.25  ++++++\n"
                  " good           -1  ------------------------\n"
                  "\u597d            +0.5  ++++++++++++\n") != std::string::npos);
}

TEST_CASE("terminal: prediction, method, layers and checks are stated") {
  alphaform::explanation e = alphaform::sample::hostile();
  CHECK(terminal_text(e, false).find("prediction  positive   75.0 %\n            negative   25.0 %\n"
                                     "method      raw, mean over channels, layers 0, 5\n") != std::string::npos);
  CHECK(terminal_text(e, false).find(
            "checks      1 of 1 passed, 1 skipped; largest layer 0: relative error 5.0e-08, tolerance 1.0e-05\n") !=
        std::string::npos);
  e.checks = {{"bad", 1.0, 2.0, 1e-5, false, ""}, {"worse but allowed", 9.0, 1.0, 10, true, ""}};
  CHECK(terminal_text(e, false).find(
            "checks      1 of 2 passed; FAILED bad: relative error 5.0e-01, tolerance 1.0e-05\n") != std::string::npos);
}

TEST_CASE("visible_text: escapes what acts, keeps what shows") {
  CHECK(visible_text("\u00e9 \u597d \U0001F40D ~") == "\u00e9 \u597d \U0001F40D ~");
  CHECK(visible_text(std::string("\0\t\x7f", 3)) == "\\x00\\t\\x7f");
  CHECK(visible_text("\xc2\x9b\xe2\x80\xae\xff") == "\\u{9b}\\u{202e}\\xff");
}
