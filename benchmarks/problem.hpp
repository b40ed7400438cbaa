// A registered architecture at a given size, with random parameters and inputs as they are in a trained layer: steps
// between 0.001 and 0.1, decays that remember for hundreds of tokens, weights that keep the variance. Times depend on
// them, as states that decay to nothing are cheaper.
#pragma once
#include <alphaform/backends/attention.hpp>
#include <alphaform/benchmarks/backend.hpp>
#include <memory>
#include <string_view>

namespace alphaform::benchmarks {

struct problem_sizes final {
  std::size_t tokens = 1, channels = 1, states = 1, ranks = 1, taps = 4, groups = 1, heads = 1;
};
/// The same problem, small enough to try everything in a second.
problem_sizes reduced(problem_sizes);

/// Fills one parameter or input of an architecture with its usual values. @param fan_in entries that a row of a matrix
/// adds up, 0 for what is none
void fill(std::span<float> numbers, std::string_view architecture, std::string_view name, std::size_t fan_in,
          std::size_t last_extent);

class problem final {
 public:
  problem(std::string_view architecture, const problem_sizes& sizes);
  /// @param y  declared here, with the usual values of `name`
  problem(const expr& y, std::string_view name, const problem_sizes& sizes);

  const problem_sizes& sizes() const { return sizes_; }
  /// A new object, that remembers nothing of others.
  implicit_attention<float> attention() const { return {formula_, env_, backend()}; }
  /// The same to be asked several times: streams that do not depend on the query are evaluated once.
  std::shared_ptr<implicit_attention<float>> bound() const {
    return std::shared_ptr<implicit_attention<float>>(new implicit_attention<float>(formula_, env_, backend()));
  }
  /// What H is applied to.
  const tensor<float>& x() const { return env_.inputs.find("x")->second; }
  /// Bytes of all inputs, read once, and of the result.
  double stream_bytes() const;

 private:
  std::size_t length(axes one, std::string_view name) const;
  void draw_input(const node&);
  /// @param sides the axes of its shape, side by side; those of the last one are added up
  void draw_parameter(std::string_view name, std::initializer_list<axes> sides);

  std::string architecture_;
  problem_sizes sizes_;
  bound_formula formula_;
  environment<float> env_;
};

}  // namespace alphaform::benchmarks
