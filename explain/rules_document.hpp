// Every rule that alphaform knows, with how often the registered architectures need it.
#pragma once
#include <alphaform/algebra/pattern.hpp>
#include <optional>
#include <string>

namespace alphaform {

enum class rules_format { text, markdown, json };

/// @param which  one class only
std::string rules_document(rules_format format, const std::optional<rule_class>& which = {});

/// @throws user_error that lists the names when there is no such class
rule_class find_rule_class(std::string_view name);

}  // namespace alphaform
