// Plans of queries, and the memory that they may take, as the command line has them.
#pragma once
#include <alphaform/backends/attention.hpp>
#include <nlohmann/json.hpp>
#include <string>

namespace alphaform::tools {

/// A number of bytes such as 1000, 64K, 200M or 3G (powers of 1024). @throws user_error for anything else
std::size_t bytes_of(const std::string& text);

std::string plan_text(const query_plan&);
nlohmann::json plan_json(const query_plan&);

}  // namespace alphaform::tools
