// A small explanation with hostile strings, shared by the tests of the outputs.
#pragma once
#include <alphaform/explain/explanation.hpp>

namespace alphaform::sample {

/// Three tokens, one of them an attempt to leave the script block, and two layers.
inline explanation hostile() {
  explanation e;
  e.model = "model <b>bold</b>";
  e.model_type = "mamba";
  e.method = "raw";
  e.pieces = {"<cls>", "</script><img src=x onerror=alert(1)>", "a\x1b[31m\u2028\n"};
  e.text = e.pieces[1] + e.pieces[2];
  e.ids = {0, 7, 50279};
  e.special = {true, false, false};
  e.scores = {0.0F, -0.25F, 0.1F};
  e.predictions = {{"positive", 0.75}, {"negative", 0.25}};
  e.maps = {{0, "mean", {1, 0, 0, -0.5F, 0.25F, 0, 3, 2, 1e-30F}}, {5, "mean", {1, 0, 0, 1, 1, 0, 1, 1, 1}}};
  e.checks = {{"layer 0", 1e-7, 2.0, 1e-5, true, ""}, {"layer 5", 0, 0, 0, false, "too long"}};
  e.settings = {{"zeta", "1"}, {"alpha", "{{maps}}"}};
  e.formula_mathml = "<math><mi>H</mi></math>";
  e.derivation_html = "<h3>Step</h3>";
  return e;
}

}  // namespace alphaform::sample
