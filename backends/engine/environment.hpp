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
};

template <class T>
struct environment final {
  std::map<std::string, parameter<T>, std::less<>> parameters;
  std::map<std::string, tensor<T>, std::less<>> inputs;
  extents lengths{};                               ///< entries of axes as far as they are known, 0 where not
  std::function<bool(std::string_view)> optional;  ///< what may be absent: a bias is 0 then, a filter the identity
};

}  // namespace alphaform
