// What `alphaform bench` measures: named cases, timed by Google Benchmark, and beside each the ceilings of the machine.
#pragma once
#include <alphaform/benchmarks/ceilings.hpp>
#include <functional>
#include <string>
#include <vector>

namespace alphaform::benchmarks {

struct request final {
  std::vector<std::string> names;  ///< of cases, or of groups: the part before the slash; empty: all but growth
  bool growth = false;             ///< the growth curves instead
  bool small = false;              ///< sizes at which everything is tried once, in seconds; the times mean nothing
  bool replay = false;             ///< each case is recorded once and then replayed
  std::size_t repetitions = 3;
};

struct case_name final {
  std::string name, what;
};

struct measurement final {
  std::string name;
  double seconds = 0;  ///< the shortest repetition; on a device the median
  needs least;
  rates ceilings;

  /// The time over that of the work at a ceiling's rate; 0 where the case has none of it.
  double over_copy() const { return over(least.bytes, ceilings.bytes); }
  double over_exponentials() const { return over(least.exponentials, ceilings.exponentials); }
  double over_products() const { return over(least.flops, ceilings.flops); }

 private:
  double over(double work, double rate) const { return work > 0 && rate > 0 ? seconds * rate / work : 0; }
};

/// One row of a growth table, in the order of the curves.
struct growth_point final {
  std::string curve, size;  ///< such as "map" over "T"
  std::size_t value;
  std::string name;  ///< of its case
};

std::vector<case_name> chosen_cases(const request&);
std::vector<growth_point> growth_points();
/// Runs the chosen cases one after the other with threads() threads. @param each  is told of every case when it is done
/// @throws user_error for an unknown name, or where Google Benchmark was missing when alphaform was built
std::vector<measurement> measure(const request&, const std::function<void(const measurement&)>& each);

}  // namespace alphaform::benchmarks
