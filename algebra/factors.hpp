// A product of operators as the list of its factors, left to right, with the recurrence of the paper's Eq. 7 put back
// together: Contract Diag(c) Scan(Diag a) Diag(b) Expand is one factor, Unrolled(a, b, c).
#pragma once
#include <alphaform/algebra/term_view.hpp>

namespace alphaform {

/// One factor. For Unrolled the streams decay, write and read are set; otherwise `term` is the factor itself.
struct factor final {
  node_index term = absent;
  node_index decay = absent, write = absent, read = absent;
  bool is_unrolled() const { return decay != absent; }
};

/// The factors of the product that starts at v.root. A factor with a label is left whole, the root is always opened.
std::vector<factor> factors_of(const term_view& v);

/// The terms of the sum (of operators or of streams) that starts at v.root; labelled ones are left whole.
std::vector<node_index> summands_of(const term_view& v);

}  // namespace alphaform
