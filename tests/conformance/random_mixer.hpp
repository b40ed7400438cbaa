// A mixer with random parameters and inputs, so that any registered architecture can be tried and compared.
#pragma once
#include <doctest/doctest.h>

#include <alphaform/architectures/registry.hpp>
#include <alphaform/backends/attention.hpp>
#include <array>
#include <bit>
#include <cmath>
#include <vector>

#include "random_environment.hpp"

namespace alphaform::test {

/// A parameter's value at which the recurrence forgets slowly, so that far tokens count.
struct slow_decay final {
  std::string_view architecture, parameter;
  double value;
};
inline constexpr std::array slow_decays{
    slow_decay{"mamba", "dt_proj.bias", -4},    slow_decay{"falcon_mamba", "dt_proj.bias", -4},
    slow_decay{"mamba2", "dt_bias", -4},        slow_decay{"vim", "dt_proj_b.bias", -4},
    slow_decay{"rwkv4", "time_decay", -5},      slow_decay{"rwkv5", "time_decay", -5},
    slow_decay{"hgrn", "lower_bound", 0.99},    slow_decay{"hgrn2", "lower_bound", 0.99},
    slow_decay{"retnet", "gamma", 0.99},        slow_decay{"griffin", "rg_lru.recurrent_param", -6},
    slow_decay{"gated_delta_net", "A_log", -5}, slow_decay{"kda", "A_log", -5}};
inline bool has_slow_decay(const architecture& a) {
  return std::any_of(slow_decays.begin(), slow_decays.end(),
                     [&](const slow_decay& s) { return s.architecture == a.name; });
}

class random_mixer final {
 public:
  random_mixer(const architecture& a, const witness_sizes& sizes, unsigned seed)
      : architecture_(a), formula_(formula_of(a.attention)), names_(sizes, seed) {
    names_.draw(a.attention);
  }

  const architecture& of() const { return architecture_; }
  const bound_formula& formula() const { return formula_; }
  const witness_sizes& sizes() const { return names_.sizes(); }
  std::size_t tokens() const { return static_cast<std::size_t>(sizes().tokens); }
  /// The extents of y: [T, C], [T, H, C], [T, G, H, C] or, of complex channels, [T, C, 2].
  extents stream() const {
    extents size = single;
    at(size, axis::token) = tokens();
    for (const axis_letter& l : axis_letters)
      if (architecture_.attention.top().to.contains(l.axis))
        at(size, slot(l.axis)) = static_cast<std::size_t>(names_.space().length(l.axis));
    return size;
  }
  /// Of all heads and groups.
  std::size_t channels() const { return volume(stream()) / tokens(); }
  /// Some token influences an earlier one.
  bool is_two_sided() const { return signature_of(formula_.g, formula_.formula).reads_later; }
  const std::vector<double>& numbers(const std::string& name) const { return names_.numbers(name); }
  bool has(const std::string& name) const { return names_.has(name); }

  /// Every number of a parameter or input becomes f of it.
  template <class F>
  random_mixer& change(const std::string& name, F f) {
    names_.change(name, f);
    return *this;
  }
  random_mixer& set(const std::string& name, double value) {
    return change(name, [value](double) { return value; });
  }
  random_mixer& slow() {
    for (const slow_decay& s : slow_decays)
      if (s.architecture == architecture_.name) set(std::string(s.parameter), s.value);
    return *this;
  }
  /// All numbers as float32 has them, so that backends of both precisions are given the same.
  random_mixer& rounded() {
    names_.round();
    return *this;
  }

  /// Inputs as bfloat16 has them.
  random_mixer& with_inputs_of_bfloat16() {
    names_.change_inputs([](double v) {
      const auto bits = std::bit_cast<std::uint32_t>(static_cast<float>(v));
      return static_cast<double>(std::bit_cast<float>((bits + 0x7fffu + (bits >> 16 & 1u)) & 0xffff0000u));
    });
    return *this;
  }

  /// @param format  of the inputs
  template <class T>
  environment<T> bound(const kernels<T>& backend, number_format format = number_format::whole) const {
    return names_.bound(backend, format);
  }
  template <class T>
  implicit_attention<T> on(const kernels<T>& backend, number_format format = number_format::whole) const {
    return implicit_attention<T>(formula_, bound(backend, format), backend);
  }

 private:
  const architecture& architecture_;
  bound_formula formula_;
  random_environment names_;
};

/// The numbers of a stream or map over two of its axes, in double; all must be finite.
template <class T>
Eigen::MatrixXd as_matrix(const tensor<T>& stored, axis rows, axis columns) {
  const tensor<T> x = on_host(stored);
  Eigen::MatrixXd m(x.v.of(rows), x.v.of(columns));
  for (std::size_t i = 0; i < x.v.of(rows); ++i)
    for (std::size_t j = 0; j < x.v.of(columns); ++j)
      m(static_cast<Eigen::Index>(i), static_cast<Eigen::Index>(j)) =
          static_cast<double>(x.v.data[i * x.v.step(rows) + j * x.v.step(columns)]);
  REQUIRE(m.allFinite());
  return m;
}
/// A stream as [T, channels], with the channels of head 0 of group 0 first.
template <class T>
Eigen::MatrixXd as_stream(const tensor<T>& stored) {
  const tensor<T> x = on_host(stored);
  const std::size_t tokens = x.v.of(axis::token), channels = volume(x.v.size) / tokens;
  Eigen::MatrixXd m(tokens, channels);
  for (std::size_t t = 0; t < tokens; ++t)
    for (std::size_t c = 0; c < channels; ++c) {
      std::size_t place = t * x.v.step(axis::token), rest = c;
      for (std::size_t k = axis_count; k-- > 1;) {
        place += rest % x.v.size[k] * x.v.stride[k];
        rest /= x.v.size[k];
      }
      m(static_cast<Eigen::Index>(t), static_cast<Eigen::Index>(c)) = static_cast<double>(x.v.data[place]);
    }
  REQUIRE(m.allFinite());
  return m;
}
/// A map [T, column T].
template <class T>
Eigen::MatrixXd as_map(const tensor<T>& x) {
  return as_matrix(x, axis::token, axis::column);
}
/// Every channel's matrix.
template <class T>
std::vector<Eigen::MatrixXd> matrices(implicit_attention<T>& a) {
  std::vector<Eigen::MatrixXd> all;
  for (std::size_t c = 0; c < a.channels(); ++c) all.push_back(as_map(a.matrix(c)));
  return all;
}

}  // namespace alphaform::test
