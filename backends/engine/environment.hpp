// What the names in an expression stand for: parameters with the shape they have in a checkpoint, and input streams.
#pragma once
#include <alphaform/backends/tensor.hpp>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace alphaform {

/// Numbers with a row-major shape, as a checkpoint or a caller has them. `data` points to as many as the shape says.
template <class T>
struct parameter final {
  std::vector<std::size_t> shape;
  const T* data = nullptr;
  std::shared_ptr<const void> owner{};
  tensor<T> placed{};  ///< the same on a backend that has its own memory

  const T* for_kernels() const { return placed ? placed.v.data : data; }
};
/// The parameter with its numbers where kernels read them.
template <class T>
parameter<T> placed_on(const kernels<T>& k, parameter<T> p) {
  if (!k.has_own_memory || p.placed || p.data == nullptr) return p;
  std::size_t count = 1;
  for (const std::size_t n : p.shape) count *= n;
  p.placed = arena<T>(k).make(stream_extents(1, count));
  k.upload(p.data, count, p.placed.v.data);
  return p;
}

template <class T>
struct environment final {
  std::map<std::string, parameter<T>, std::less<>> parameters;
  std::map<std::string, tensor<T>, std::less<>> inputs;
  extents lengths{};                               ///< entries of axes as far as they are known, 0 where not
  std::function<bool(std::string_view)> optional;  ///< what may be absent: a bias is 0 then, a filter the identity
};
template <class T>
environment<T> placed_on(const kernels<T>& k, environment<T> env) {
  for (auto& [name, p] : env.parameters) p = placed_on(k, std::move(p));
  return env;
}

}  // namespace alphaform
