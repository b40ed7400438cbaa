// The first argument of a translated kernel, and the kernels that were compiled.
#pragma once
#include <alphaform/backends/cuda/functions.hpp>
#include <alphaform/backends/cuda/programs/compile.hpp>
#include <alphaform/backends/cuda/programs/source.hpp>
#include <functional>
#include <vector>

namespace alphaform::cuda {

/// As call_type in source.cpp declares it: how its operands lie, axes that follow each other joined.
class call final {
 public:
  /// @param tokens_apart  the token axis is no axis of entries; its steps are the last of each operand
  call(const extents& size, const std::vector<view<float>>& operands, bool tokens_apart);

  std::int64_t& entries() { return numbers_[0]; }
  std::int64_t& tokens() { return numbers_[2 + call_axes]; }
  /// Four neighbours of every operand lie on an address of 16 bytes, one after the other, or are one number.
  bool in_fours() const { return in_fours_; }
  bool has_fours(std::size_t k) const { return step(k, 0) == 1 && length(0) % 4 == 0 && lies_on(k, 4, 1); }
  /// Four neighbours of operand k are one number.
  bool repeats(std::size_t k) const { return step(k, 0) == 0 && length(0) % 4 == 0; }
  /// Operand k begins with a multiple of so many numbers, and its steps along axes are multiples too.
  bool lies_on(std::size_t k, std::int64_t numbers, std::size_t first_axis = 0) const;
  /// Of each operand.
  const std::vector<number_format>& formats() const { return formats_; }
  /// `how` and the formats: what tells kernels of one program apart.
  std::vector<std::int64_t> and_formats(std::vector<std::int64_t> how) const;
  void* argument() { return numbers_.data(); }

 private:
  static std::size_t place(std::size_t k) { return 3 + call_axes + k * (1 + call_axes); }
  std::int64_t& length(std::size_t a) { return numbers_[2 + a]; }
  std::int64_t length(std::size_t a) const { return numbers_[2 + a]; }
  std::int64_t& step(std::size_t k, std::size_t a) { return numbers_[place(k) + 1 + a]; }
  std::int64_t step(std::size_t k, std::size_t a) const { return numbers_[place(k) + 1 + a]; }

  std::vector<std::int64_t> numbers_;
  std::vector<number_format> formats_;
  bool in_fours_ = false;
};

/// Operands of a program, to which what a kernel writes may be added.
std::vector<view<float>> all_of(std::span<const in> operands);

/// The kernel of a program; texts are made and compiled once; none in a rehearsal.
/// @param how  tells apart what is made of one program
cudaKernel_t kernel_of(const pointwise&, const char* name, const std::vector<std::int64_t>& how,
                       const std::function<std::string()>& source);

}  // namespace alphaform::cuda
