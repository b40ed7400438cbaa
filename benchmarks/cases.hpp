// The named cases: what each prepares, does and needs. A new case is a row in the table of its group.
#pragma once
#include <alphaform/benchmarks/ceilings.hpp>
#include <functional>
#include <string>
#include <vector>

namespace alphaform::benchmarks {

/// A job with everything that it reads in memory.
struct job final {
  needs least;
  std::function<void()> run;
};

struct named_case final {
  std::string name, what;
  std::function<job(bool small)> prepare;
  /// Numbers of this processor go into it or come back: it cannot be recorded.
  bool hands_over = false;
};

std::vector<named_case> mamba_cases();    ///< queries of one Mamba layer
std::vector<named_case> channel_cases();  ///< one state a channel: Griffin, HGRN
std::vector<named_case> head_cases();     ///< a matrix a head: GLA, RetNet, Mamba-2, RWKV-6 and 7, Gated DeltaNet
std::vector<named_case> filter_cases();   ///< filters as long as the text: Hyena
std::vector<named_case> model_cases();    ///< whole models, forward and gradient
std::vector<named_case> rollout_cases();  ///< a row through all layers of a model

/// Cases that differ in one size.
struct growth_curve final {
  std::string name, size;
  struct point final {
    std::size_t value;
    named_case of;
  };
  std::vector<point> points;
};
std::vector<growth_curve> growth_curves();

}  // namespace alphaform::benchmarks
