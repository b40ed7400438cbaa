// The files of docs/report as constants in the binary; cmake/embed.cmake writes their definitions.
#pragma once
#include <string_view>

namespace alphaform::embedded {

extern const std::string_view report_html;
extern const std::string_view report_css;
extern const std::string_view report_js;
extern const std::string_view heat_map_js;

}  // namespace alphaform::embedded
