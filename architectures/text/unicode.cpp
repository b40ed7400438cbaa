// Unicode text: UTF-8 after the well-formed byte sequences of the Unicode standard (table 3-7), properties and NFC from
// ICU.
#include <fmt/format.h>
#include <unicode/bytestream.h>
#include <unicode/normalizer2.h>
#include <unicode/stringpiece.h>
#include <unicode/uchar.h>

#include <alphaform/architectures/text/unicode.hpp>
#include <alphaform/error.hpp>
#include <cstdint>
#include <optional>

namespace alphaform {
namespace {

struct sequence {
  char32_t code;
  std::size_t length;
};

std::size_t expected_length(unsigned char lead) {
  if (lead < 0x80) return 1;
  if (lead >= 0xC2 && lead <= 0xDF) return 2;
  if (lead >= 0xE0 && lead <= 0xEF) return 3;
  if (lead >= 0xF0 && lead <= 0xF4) return 4;
  return 0;
}

/// The valid sequence at bytes[start], if there is one.
std::optional<sequence> sequence_at(std::string_view bytes, std::size_t start) {
  const auto lead = static_cast<unsigned char>(bytes[start]);
  const std::size_t length = expected_length(lead);
  if (length == 0 || length > bytes.size() - start) return std::nullopt;
  if (length == 1) return sequence{lead, 1};
  char32_t code = lead & (0x7FU >> length);
  for (std::size_t i = 1; i < length; ++i) {
    const auto byte = static_cast<unsigned char>(bytes[start + i]);
    if ((byte & 0xC0U) != 0x80U) return std::nullopt;
    code = (code << 6U) | (byte & 0x3FU);
  }
  const bool overlong = (length == 3 && code < 0x800) || (length == 4 && code < 0x10000);
  const bool surrogate = code >= 0xD800 && code <= 0xDFFF;
  if (overlong || surrogate || code > 0x10FFFF) return std::nullopt;
  return sequence{code, length};
}

bool in_category(char32_t code, std::uint32_t mask) {
  return ((std::uint32_t{1} << static_cast<unsigned>(u_charType(static_cast<UChar32>(code)))) & mask) != 0;
}

}  // namespace

std::vector<character> characters(std::string_view utf8) {
  std::vector<character> result;
  result.reserve(utf8.size());
  for (std::size_t start = 0; start < utf8.size();) {
    const auto found = sequence_at(utf8, start);
    if (!found) {
      throw user_error(
          fmt::format("cannot tokenize the text: it is not valid UTF-8 at byte {} (0x{:02X}); convert it to UTF-8",
                      start, static_cast<unsigned char>(utf8[start])));
    }
    result.push_back({found->code, start});
    start += found->length;
  }
  return result;
}

std::string to_utf8(char32_t code) {
  const auto continuation = [code](unsigned shift) { return static_cast<char>(0x80U | ((code >> shift) & 0x3FU)); };
  if (code < 0x80) return {static_cast<char>(code)};
  if (code < 0x800) return {static_cast<char>(0xC0U | (code >> 6U)), continuation(0)};
  if (code < 0x10000) return {static_cast<char>(0xE0U | (code >> 12U)), continuation(6), continuation(0)};
  return {static_cast<char>(0xF0U | (code >> 18U)), continuation(12), continuation(6), continuation(0)};
}

bool is_letter(char32_t code) { return in_category(code, U_GC_L_MASK); }

bool is_number(char32_t code) { return in_category(code, U_GC_N_MASK); }

bool is_space(char32_t code) { return u_isUWhiteSpace(static_cast<UChar32>(code)) != 0; }

bool is_word(char32_t code) {
  const auto c = static_cast<UChar32>(code);
  return u_hasBinaryProperty(c, UCHAR_ALPHABETIC) != 0 || u_hasBinaryProperty(c, UCHAR_JOIN_CONTROL) != 0 ||
         in_category(code, U_GC_M_MASK | U_GC_ND_MASK | U_GC_PC_MASK);
}

std::string nfc(std::string_view utf8) {
  UErrorCode status = U_ZERO_ERROR;
  const icu::Normalizer2* normalizer = icu::Normalizer2::getNFCInstance(status);
  std::string result;
  icu::StringByteSink<std::string> sink(&result);
  if (U_SUCCESS(status)) {
    const icu::StringPiece text(utf8.data(), static_cast<std::int32_t>(utf8.size()));
    normalizer->normalizeUTF8(0, text, sink, nullptr, status);
  }
  if (U_FAILURE(status))
    throw runtime_error(fmt::format("cannot normalise the text: ICU reports {}", u_errorName(status)));
  return result;
}

std::string visible(std::string_view bytes) {
  std::string result;
  for (std::size_t start = 0; start < bytes.size();) {
    const auto found = sequence_at(bytes, start);
    if (found) {
      result += bytes.substr(start, found->length);
    } else {
      result += fmt::format("\\x{:02X}", static_cast<unsigned char>(bytes[start]));
    }
    start += found ? found->length : 1;
  }
  return result;
}

}  // namespace alphaform
