#include <fmt/core.h>

#include <alphaform/architectures/checkpoint/quote.hpp>
#include <alphaform/backends/model/state_file.hpp>
#include <array>

namespace alphaform {

namespace {

template <class T>
constexpr dtype stored_as = std::is_same_v<T, float> ? dtype::f32 : dtype::f64;

template <class T>
std::array<std::int64_t, 4> signature_of(const model<T>& m, std::size_t states) {
  return {static_cast<std::int64_t>(m.layers()), static_cast<std::int64_t>(m.width()),
          static_cast<std::int64_t>(m.vocabulary()), static_cast<std::int64_t>(states)};
}

}  // namespace

template <class T>
void save_state(const decoding_state<T>& state, const model<T>& of, const byte_sink& sink) {
  std::size_t count = 0;
  for (std::size_t i = 0; i < state.size(); ++i) count += state[i].states().size();
  const auto signature = signature_of(of, count);
  std::vector<stored_tensor> tensors{{"model", dtype::i64, {4}, std::as_bytes(std::span(signature))}};
  const arena<T> memory(of.backend());
  std::vector<std::vector<T>> kept;
  for (std::size_t i = 0; i < state.size(); ++i) {
    const std::vector<tensor<T>>& states = state[i].states();
    for (std::size_t j = 0; j < states.size(); ++j) {
      const extents& size = states[j].v.size;
      const tensor<T> whole = memory.make(size);  // a state may be a part of something larger
      of.backend().copy(states[j], whole);
      kept.push_back(numbers_of(whole));
      tensors.push_back({fmt::format("{}.{}", i, j),
                         stored_as<T>,
                         {size.begin(), size.end()},
                         std::as_bytes(std::span<const T>(kept.back()))});
    }
  }
  write_safetensors(tensors, {{"format", "alphaform decoding state"}}, sink);
}

template <class T>
decoding_state<T> restored_state(const checkpoint& file, const model<T>& of) {
  const auto signature = signature_of(of, file.tensors().size() - (file.tensors().empty() ? 0 : 1));
  const stored_tensor* said = file.find("model");
  if (said == nullptr || said->type != dtype::i64 || values<std::int64_t>(*said).size() != signature.size())
    throw user_error(fmt::format("{} is no saved decoding state", quote_path(file.path())));
  const std::vector<std::int64_t> found = values<std::int64_t>(*said);
  if (found[3] != signature[3])
    throw user_error(fmt::format("{} holds {} states, but {} were saved: the file is incomplete",
                                 quote_path(file.path()), signature[3], found[3]));
  if (!std::equal(found.begin(), found.end(), signature.begin()))
    throw user_error(
        fmt::format("{} is the state of a model with {} layers, width {} and {} tokens; this one has {}, {} and {}",
                    quote_path(file.path()), found[0], found[1], found[2], signature[0], signature[1], signature[2]));
  decoding_state<T> state;
  std::size_t restored = 1;
  for (std::size_t i = 0; restored < file.tensors().size(); ++i) {
    carried<T>& c = *state.next().by_token;
    for (std::size_t j = 0;; ++j, ++restored) {
      const stored_tensor* t = file.find(fmt::format("{}.{}", i, j));
      if (t == nullptr) break;
      if (t->type != stored_as<T> || t->shape.size() != axis_count)
        throw user_error(fmt::format("the saved state '{}' has another precision or form than this run", t->name));
      extents size;
      std::copy(t->shape.begin(), t->shape.end(), size.begin());
      const std::vector<T> numbers = values<T>(*t);
      if (numbers.empty()) throw user_error(fmt::format("the saved state '{}' is empty", t->name));
      c.states().push_back(stored(numbers, size, of.backend()));
    }
    if (i > file.tensors().size() + of.layers() * 64)
      throw user_error(fmt::format("{} holds tensors that are no states", quote_path(file.path())));
  }
  return state;
}

template void save_state(const decoding_state<float>&, const model<float>&, const byte_sink&);
template void save_state(const decoding_state<double>&, const model<double>&, const byte_sink&);
template decoding_state<float> restored_state(const checkpoint&, const model<float>&);
template decoding_state<double> restored_state(const checkpoint&, const model<double>&);

}  // namespace alphaform
