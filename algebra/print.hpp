// Terms as text, LaTeX and MathML: one recursion for all notations. Products and sums are flat, the recurrence of the
// paper's Eq. 7 reads Unrolled(a, b, c), labelled subterms read as their label, and a stream that is only repeated
// along an axis reads as the stream.
#pragma once
#include <alphaform/algebra/factors.hpp>
#include <alphaform/algebra/notation.hpp>
#include <alphaform/algebra/symbols.hpp>
#include <string>

namespace alphaform {

/// The term in one notation; LaTeX without dollars, MathML as one mrow without <math>.
/// @param expand_root_label  whether a label of the whole term is opened: its definition instead of its name
std::string print(const term_view& v, notation n, bool expand_root_label = true);

/// One factor of a product.
std::string print(const term_view& v, const factor& f, notation n);

}  // namespace alphaform
