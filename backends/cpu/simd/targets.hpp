// Which instruction sets the vector code is compiled for, chosen among at run time: on x86 the baseline, SSE4, AVX2 and
// AVX-512. Variants in between would cost compile time and gain nothing; vectors whose length the compiler does not
// know cannot be members or array entries. Include this before anything of Highway.
#pragma once
#define HWY_DISABLED_TARGETS \
  (HWY_SSSE3 | HWY_AVX3_DL | HWY_AVX3_ZEN4 | HWY_AVX3_SPR | HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128 | HWY_RVV)

#include <hwy/detect_targets.h>

// Targets that this version of Highway does not know.
#ifndef HWY_AVX3_ZEN4
#define HWY_AVX3_ZEN4 0
#endif
#ifndef HWY_AVX3_SPR
#define HWY_AVX3_SPR 0
#endif
