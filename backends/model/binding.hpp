// From a checkpoint's tensors to an expression's parameters, as the tables of a family say: prefixes, splits, aliases,
// scaling.
#pragma once
#include <alphaform/architectures/checkpoint/checkpoint.hpp>
#include <alphaform/architectures/models/family.hpp>
#include <alphaform/backends/model/expression.hpp>

namespace alphaform {

/// The family whose model_type the checkpoint's configuration names.
/// @throws user_error that lists what can be loaded
const family& family_of(const checkpoint&);

template <class T>
class binder final {
 public:
  binder(const checkpoint&, const family&);
  std::size_t blocks() const { return blocks_; }
  std::size_t rescale_every() const { return rescale_every_; }
  /// The family's prefix, or the configuration's backbone_prefix.
  const std::string& prefix() const { return prefix_; }

  /// Parameters of the expressions, whose tensors start with `prefix` ({i} is `block`).
  /// @throws user_error naming the missing or ill-shaped tensor
  environment<T> bind(std::span<const expr* const> expressions, std::string_view prefix, std::size_t block) const;
  /// One tensor by its full name.
  parameter<T> tensor_named(const std::string& name) const;

 private:
  void bind(environment<T>&, std::string_view name, const std::string& prefix, std::size_t block) const;
  parameter<T> piece(std::string_view name, const split&, const std::string& prefix, std::size_t block) const;
  parameter<T> loaded(const stored_tensor&, std::size_t block, double (*stored)(double)) const;

  checkpoint file_;
  const family& family_;
  std::string prefix_;
  std::size_t blocks_ = 0, rescale_every_ = 0;
  double epsilon_ = 0;
};

}  // namespace alphaform
