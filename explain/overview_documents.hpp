// All architectures on one page: what their implicit attentions share and where they differ; and what of each works.
#pragma once
#include <string>

namespace alphaform {

enum class overview_format { text, markdown };

/// The paper's Fig. 1 and App. E for every registered architecture: operator, class, decay, read, normaliser,
/// remainder, cost; factors of one kind; where printed equations differ, measured on the golden models.
std::string overview_document(overview_format);

/// What works for each architecture, on which evidence, and why the rest does not.
std::string support_document(overview_format);

}  // namespace alphaform
