// A document as a list of blocks, between what is said (compose.cpp) and how a format writes it (one file each).
#pragma once
#include <alphaform/algebra/notation.hpp>
#include <alphaform/explain/document.hpp>
#include <alphaform/explain/evidence.hpp>
#include <string>
#include <vector>

namespace alphaform::documents {

struct span final {
  std::string text;
  bool is_formula = false;  ///< in the notation of the document
};
using line = std::vector<span>;

enum class block_kind { title, heading, paragraph, equations, table, picture };

struct block final {
  block_kind kind;
  line text{};                            ///< of a title, heading or paragraph; of a picture its caption and its place
  std::vector<std::vector<line>> rows{};  ///< of a table, the first is its head; of equations, left and right side
};

/// What a document is about.
struct subject final {
  const architecture& a;
  derivation derived;
  visible_derivation steps;
  derivation_evidence evidence;
  std::vector<measured_jacobian> jacobians;  ///< one for each input, or none
  measured_on_golden measured;
};

/// All that is said, with formulas in notation `n`.
std::vector<block> compose(const subject& s, notation n);

std::string write_text(const std::vector<block>& blocks);
std::string write_markdown(const std::vector<block>& blocks);
std::string write_latex(const std::vector<block>& blocks);
std::string write_html(const std::vector<block>& blocks);
std::string write_html_page(const std::vector<block>& blocks);
std::string write_json(const subject& s);

/// "x does not depend on v": the condition of a rule as a clause.
std::string condition_text(const rule& u);

/// The stabilised form with names for its running maxima.
expr named_stabilised(const architecture& a);

/// 1.2e-16, or 0.
std::string miss_text(double miss);

}  // namespace alphaform::documents
