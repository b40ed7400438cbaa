// The transpose of a sum of products: what comes back to a subterm that several terms share is added up first, so that
// each is evaluated once.
#pragma once
#include <alphaform/backends/engine/engine.hpp>
#include <alphaform/backends/engine/state_branches.hpp>
#include <compare>
#include <set>

namespace alphaform {

/// Where a sweep over a part of the lanes stops.
struct sweep_limits final {
  axes lane = no_axes;                          ///< at what does not keep this axis apart
  const std::set<node_index>* later = nullptr;  ///< and at these subterms: more comes back to them from elsewhere
};

/// A subterm at which a sweep stopped; absent where it went through all of them.
struct sweep_end final {
  node_index at = absent;
  bool summed = false;  ///< over the window's lanes: what came back is one term of a sum over all of them
  auto operator<=>(const sweep_end&) const = default;
};

template <class T>
class evaluation<T>::sweep final {
 public:
  using ends = std::map<sweep_end, tensor<T>>;

  sweep(evaluation& e, const window& w, sweep_limits limits = {}) : e_(e), g_(e.g_), w_(w), limits_(limits) {}
  /// P' g, as far as the limits allow; stored at `to` if it is what the last factor of one product makes.
  ends run(node_index p, tensor<T> g, const tensor<T>* to = nullptr);

 private:
  bool crosses_lanes(node_index p) const;
  bool meets_others(node_index p) const;
  void add(ends& to, sweep_end, tensor<T> y);
  void arrive(node_index at, tensor<T> y, bool summed = false);
  void through_product(node_index p, tensor<T> y);
  bool is_only_path() const { return pending_.empty() && ends_.empty(); }
  std::optional<gated_filter_form> gated_filter(const spine&, std::size_t k,
                                                const std::function<bool(std::size_t)>& joins) const;
  bool through_branches(const spine&, std::size_t k, const tensor<T>& y);
  bool has_all_tokens() const;

  evaluation& e_;
  const workspace& g_;
  const window& w_;
  sweep_limits limits_;
  const tensor<T>* to_ = nullptr;
  const std::vector<bool>* repeated_ = nullptr;  // the parts of P that several others have
  ends ends_;
  std::map<node_index, tensor<T>, std::greater<>> pending_;  // later nodes first: their arguments come before them
};

}  // namespace alphaform
