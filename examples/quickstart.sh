#!/bin/sh
# Explains review sentences with the sentiment classifier in models/, building the command first if need be:
#   sh examples/quickstart.sh                 three sentences
#   sh examples/quickstart.sh "my sentence"   this one
set -eu
cd "$(dirname "$0")/.."

if [ ! -f build/release/build.ninja ]; then
  . scripts/packages.sh
  require_packages $build_packages
  cmake --preset release -DALPHAFORM_TESTS=OFF -DALPHAFORM_EXAMPLES=OFF
fi
cmake --build build/release --target alphaform_command -j "$(nproc)"

# explain NAME SENTENCE
explain() {
  printf '\n'
  report=$PWD/alphaform-report/$1/report.html
  build/release/tools/alphaform explain models/sentiment --text "$2" -o "alphaform-report/$1"
}

if [ $# -gt 0 ]; then
  explain mine "$*"
else
  explain positive "a gorgeous , witty , seductive movie ."
  explain negative "it 's slow -- very , very slow ."
  explain contrast "the plot is thin and the jokes are old , but the two leads are a joy to watch"
fi
printf '\nOpen this in a browser: %s\n' "$report"
