// What the rows of a family's tables may ask about a checkpoint: its configuration, its tensors, and where in the model
// they are asked. Everything in it comes from outside and is checked here.
#pragma once
#include <alphaform/algebra/axes.hpp>
#include <alphaform/architectures/checkpoint/checkpoint.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace alphaform {

/// Numbers with a row-major shape.
struct array final {
  std::vector<std::size_t> shape;
  std::vector<double> numbers;
};
array scalar(double);

class facts final {
 public:
  /// @param mixer  how the names of the mixer's tensors start in this block; @param prefix  of the model's
  facts(const checkpoint& file, std::string prefix, std::string mixer, std::size_t block, std::size_t blocks)
      : file_(file), prefix_(std::move(prefix)), mixer_(std::move(mixer)), block_(block), blocks_(blocks) {}

  std::size_t block() const { return block_; }
  std::size_t blocks() const { return blocks_; }
  const checkpoint& file() const { return file_; }

  // ---- configuration: a dotted key goes into objects, "a|b" takes the first that is there. What is missing or null is
  //      `otherwise`. @throws user_error for another type
  bool has(std::string_view key) const;
  double number(std::string_view key, double otherwise) const;
  bool flag(std::string_view key, bool otherwise) const;
  std::string text(std::string_view key, std::string_view otherwise) const;
  /// Entry of a list of numbers, where transformers writes an infinity as {"__float__": "Infinity"}.
  double entry(std::string_view key, std::size_t place, double otherwise) const;
  /// A positive whole number. @throws user_error if it is missing or something else
  std::size_t count(std::string_view key) const;
  std::size_t count(std::string_view key, std::size_t otherwise) const;
  const nlohmann::json* at(std::string_view key) const;

  // ---- tensors, by their names within the mixer, or from the model's prefix on with "/" in front
  bool holds(std::string_view tensor) const;
  /// Length of one dimension; the last ones are counted from -1 down.
  std::size_t length(std::string_view tensor, int dimension) const;
  array tensor(std::string_view name) const;

 private:
  std::string full(std::string_view tensor) const;
  const checkpoint& file_;
  std::string prefix_, mixer_;
  std::size_t block_, blocks_;
};

}  // namespace alphaform
