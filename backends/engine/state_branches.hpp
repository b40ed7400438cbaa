// What stands right of Contract over the state in a derivative: branches through states, and through what controls
// them.
#pragma once
#include <alphaform/backends/engine/forms.hpp>
#include <alphaform/backends/kernels.hpp>

namespace alphaform {

/// Diags, a Scan perhaps, and an Expand that ends them; the Diags may hold states, h or Delay h.
struct state_branch final {
  std::optional<state_product> of;  ///< what its transpose sums; nothing where there is no state
  streams weight;                   ///< times this
  axes over;                        ///< what the Expand repeats along
  node_index rest = absent;         ///< what is right of it, if anything
};
/// All branches of one Contract; their states are those of one recurrence, so that one pass over the tokens serves all.
struct state_branches final {
  unrolled_form core;       ///< decay, write, read and whether it is exclusive
  node_index x = absent;    ///< what is written; absent if no branch holds a state
  bool reads_scan = false;  ///< some branch has a Scan
  std::vector<state_branch> list;
};
/// The branches right of the Contract at place `k` of a product, or nothing if there is something else.
std::optional<state_branches> state_branches_from(const workspace& g, const spine& s, std::size_t k);

}  // namespace alphaform
