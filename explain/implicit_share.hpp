// How much of a mixer's true derivative the implicit attention is. For a direction v of the mixer's input u, J v is the
// true change of its output and H v = W_out H_attention W_x v what the implicit attention passes on; the rest goes
// through the other inputs and through controls.
#pragma once
#include <alphaform/backends/model/model.hpp>
#include <alphaform/explain/document.hpp>
#include <optional>
#include <vector>

namespace alphaform {

/// Over random directions v of +1 and -1, so that the sums estimate tr(H' J) and the squared Frobenius norms
/// (Hutchinson 1989).
struct implicit_share final {
  double carried = 0;  ///< sum <H v, J v> / sum |J v|^2: 1 if J = H, 0 if J is 0
  double cosine = 0;   ///< sum <H v, J v> / sqrt(sum |H v|^2 sum |J v|^2), 0 if H or J is
};

/// One for each layer, on what its mixer gets for these ids.
/// @throws user_error when a term has no derivative
template <class T>
std::vector<implicit_share> implicit_shares(const model<T>&, std::span<const std::int64_t> ids);

/// The first row of a record's input_ids, [samples, tokens] or [tokens].
/// @throws user_error when there is none
std::vector<std::int64_t> recorded_ids(const checkpoint& record);

/// On the golden model of an architecture and its recorded text, the mean over the layers; none without such a model.
std::optional<measured_share> share_on_golden(const architecture&);

}  // namespace alphaform
