// Base64 (RFC 4648, section 4, with padding): how binary maps travel inside report.html.
#pragma once
#include <string>
#include <string_view>

namespace alphaform {

/// @return  4 characters for every 3 bytes begun, from A-Z a-z 0-9 + / and =
std::string base64(std::string_view bytes);

}  // namespace alphaform
