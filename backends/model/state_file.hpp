// What a model carries from token to token, as a safetensors file: a text can be continued later, or elsewhere.
#pragma once
#include <alphaform/architectures/checkpoint/safetensors_writer.hpp>
#include <alphaform/backends/model/model.hpp>

namespace alphaform {

/// Writes the state: tensor "i.j" is the j-th state of the i-th expression that a run of the model evaluates, and
/// "model" holds layers, width, vocabulary and the number of states.
template <class T>
void save_state(const decoding_state<T>& state, const model<T>& of, const byte_sink& sink);

/// The state that was saved. @throws user_error if the file is no such state, or one of another model
template <class T>
decoding_state<T> restored_state(const checkpoint& file, const model<T>& of);

}  // namespace alphaform
