// result.json: everything that an explanation says except the maps, which it names; they lie in the .npz file.
#pragma once
#include <alphaform/explain/explanation.hpp>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>

namespace alphaform {

/// {"model", "model_type", "method", "text", "tokens": [{"piece", "id", "special", "score"}], "predictions": [{"label",
/// "probability"}], "maps": [{"name", "layer", "reduction", "shape"}], "checks", "settings": [{"name", "value"}]}.
/// Strings are well-formed UTF-8 (other bytes become U+FFFD); numbers that are not finite become null when written.
/// @throws internal_error  if the parts of `e` disagree in the number of tokens
nlohmann::json to_json(const explanation& e);

/// [{"name", "max_abs", "scale", "tolerance", "pass"}]; one that could not be made is {"name", "skipped": reason}.
nlohmann::json to_json(std::span<const check> checks);

/// The text of a .json file: indented by two blanks, with a line feed at the end.
std::string json_text(const nlohmann::json& value);

}  // namespace alphaform
