// From a checkpoint's tensors and configuration to an expression's parameters, as the tables of a family say.
#pragma once
#include <alphaform/architectures/models/family.hpp>
#include <alphaform/backends/model/expression.hpp>
#include <set>

namespace alphaform {

/// The family of the checkpoint: by the model_type in its configuration, and by its tensors.
/// @throws user_error that lists what can be loaded
const family& family_of(const checkpoint&);

template <class T>
class binder final {
 public:
  /// @param backend  where parameters are stored
  binder(const checkpoint&, const family&, const kernels<T>& backend);
  std::size_t blocks() const { return blocks_; }
  std::size_t rescale_every() const { return rescale_every_; }
  /// The family's prefix, or the configuration's backbone_prefix.
  const std::string& prefix() const { return prefix_; }
  /// The mixer of a block. @throws user_error when none of the family's fits
  const mixer_choice& mixer_of(std::size_t block) const;

  /// Parameters of the expressions, whose tensors start with `prefix` ({i} is `block`, {n} the number after it).
  /// @throws user_error naming the missing or ill-shaped tensor
  environment<T> bind(std::span<const expr* const> expressions, std::string_view prefix, std::size_t block) const;
  /// One tensor by its full name.
  parameter<T> tensor_named(const std::string& name) const;
  /// After all is bound. @throws user_error naming a tensor of the file that nothing has read
  void check_all_read() const;

 private:
  struct place;  // which axes of an expression a parameter has
  std::string named(std::string_view pattern, std::size_t block) const;
  facts facts_of(std::size_t block) const;
  bool may_miss(std::string_view name) const;
  parameter<T> fitted(parameter<T>, const place&, const extents& lengths, std::string_view name) const;
  std::optional<parameter<T>> found(std::string_view name, const std::string& prefix, std::size_t block) const;
  std::optional<parameter<T>> piece(std::string_view name, const std::string& prefix, std::size_t block,
                                    const std::map<std::string_view, place>&, const extents& lengths) const;
  parameter<T> loaded(const stored_tensor&, std::size_t block) const;

  checkpoint file_;
  const family& family_;
  const kernels<T>& backend_;
  std::string prefix_;
  std::size_t blocks_ = 0, rescale_every_ = 0;
  mutable std::set<std::string_view> read_;  // names in file_ of what has been bound
};

}  // namespace alphaform
