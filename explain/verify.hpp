// Checks of a loaded model: its logits and mixers against another implementation's record, and y = H x + r of every
// layer.
#pragma once
#include <alphaform/backends/model/model.hpp>
#include <alphaform/explain/explanation.hpp>

namespace alphaform {

/// Largest difference allowed, as a part of the largest magnitude of the reference.
template <class T>
struct tolerance;
template <>
struct tolerance<float> final {
  static constexpr double recorded = 2e-5;  ///< float32 here and in the record
  static constexpr double identity = 2e-5;
};
template <>
struct tolerance<double> final {
  static constexpr double recorded = 2e-5;  ///< the record is float32
  static constexpr double identity = 1e-11;
};

/// y against H x + r, and against its rows (the transpose's route), on one mixer input u [T, D].
template <class T>
std::vector<check> identity_checks(const model<T>&, std::size_t layer, const tensor<T>& u,
                                   const shared_streams<T>& = {});
/// The same for every layer, on what its mixer gets for these ids.
template <class T>
std::vector<check> identity_checks(const model<T>&, std::span<const std::int64_t> ids);
/// The same for the values [T, features()] of an image.
template <class T>
std::vector<check> identity_checks(const model<T>&, const tensor<T>& values);

/// Logits, mixer_out.i given mixer_in.i and the identity, against a record with the tensors input_ids [B, T] or, of an
/// image model, pixel_values [B, channels, height, width]; logits, mixer_in.i and mixer_out.i [B, T, D], and lengths
/// [B] if the samples are padded.
/// @throws user_error when the record has not these tensors or belongs to another model
template <class T>
std::vector<check> record_checks(const model<T>&, const checkpoint& record);

/// The logits of the last token against raw float32 numbers; the ids are run as one sequence and token by token.
template <class T>
std::vector<check> logit_checks(const model<T>&, std::span<const std::int64_t> ids, std::span<const float> logits);

}  // namespace alphaform
