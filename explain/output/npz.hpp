// Several named arrays as the bytes of a NumPy .npz file: a zip archive with one deflated .npy member an array.
#pragma once
#include <span>
#include <string>

namespace alphaform {

struct named_array {
  std::string name;  ///< the key in numpy.load(...), without ".npy"
  std::string npy;   ///< from npy_bytes
};

/// The same arrays give the same bytes: members carry no time of day.
/// @throws user_error     if there is no array or two have the same name
/// @throws runtime_error  if libzip fails, for example for want of memory
std::string npz_bytes(std::span<const named_array> arrays);

}  // namespace alphaform
