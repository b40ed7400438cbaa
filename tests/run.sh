#!/bin/sh
# Builds everything with warnings as errors and runs all tests:
#   sh tests/run.sh        g++
#   sh tests/run.sh --all  also clang, address and undefined-behaviour sanitizers, clang-format and clang-tidy
# With CI=true clang and clang-format are included. The last line is "N passed, N failed, N skipped"; a step that is no test (a
# build, a check of the sources) counts as one. The status is 0 if nothing failed, 2 if packages are missing.
set -u

clang=${CI:+yes} all=
case "$#:${1-}" in
  0:) ;;
  1:--all) clang=yes all=yes ;;
  *) sed -n '2,/^set/{s/^# \{0,1\}//p;}' "$0" >&2; exit 2 ;;
esac

cd "$(dirname "$0")/.." || exit 2
. scripts/packages.sh
require_packages $build_packages $test_packages

jobs=$(nproc)
log=$(mktemp)
trap 'rm -f "$log"' EXIT
passed=0 failed=0 skipped=0 times=

# step NAME COMMAND...: runs one step, whose own output says what is wrong.
step() {
  name=$1 began=$(date +%s)
  shift
  printf '\n==> %s\n' "$name"
  "$@"
  status=$?
  times="$times$(printf '%5d s  %s' $(($(date +%s) - began)) "$name")
"
  if [ $status -eq 0 ]; then passed=$((passed + 1)); else failed=$((failed + 1)) times="$times         ^ failed
"; fi
  return $status
}

# build FOLDER PRESET [CACHE ENTRY...]
build() {
  folder=$1 preset=$2
  shift 2
  cmake --preset "$preset" -B "$folder" "$@" >"$log" 2>&1 || { cat "$log"; return 1; }
  cmake --build "$folder" -j "$jobs" -- -k 0
}

# run_tests FOLDER [CTEST OPTION...]: counts the cases, instead of counting as one step.
run_tests() {
  folder=$1
  shift
  status_file=$(mktemp)
  { ctest --test-dir "$folder" --output-on-failure -j "$jobs" "$@"; echo $? >"$status_file"; } | tee "$log"
  status=$(cat "$status_file")
  rm -f "$status_file"
  # A case that did not even start is neither passed nor skipped: it failed.
  total=$(grep -cE '^ *[0-9]+/[0-9]+ Test +#[0-9]+: ' "$log")
  good=$(grep -cE '^ *[0-9]+/[0-9]+ Test +#[0-9]+: .* Passed +[0-9.]+ sec' "$log")
  without=$(grep -cE '^ *[0-9]+/[0-9]+ Test +#[0-9]+: .*\*\*\*Skipped' "$log")
  passed=$((passed + good - 1)) skipped=$((skipped + without)) failed=$((failed + total - good - without))
  if [ "$status" -ne 0 ] || [ "$total" -eq 0 ]; then
    # The step adds one failure itself.
    passed=$((passed + 1))
    if [ $((total - good - without)) -gt 0 ]; then failed=$((failed - 1)); fi
    return 1
  fi
}

sources() { find include algebra architectures backends explain tools examples tests -name '*.[ch]pp' "$@"; }
is_formatted() { find . -path ./build -prune -o \( -name '*.[ch]pp' -o -name '*.cu' -o -name '*.cuh' \) -print0 | xargs -0 clang-format --dry-run -Werror; }
is_tidy() {
  sources -path 'tests/fail' -prune -o -path 'tests/consumer' -prune -o -name '*.cpp' -print0 |
    xargs -0 -n 1 -P "$jobs" clang-tidy --quiet -p build/clang
}

step 'g++: build' build build/dev dev && step 'g++: tests' run_tests build/dev
if [ -n "$clang" ]; then
  # What clang adds is its warnings, and its messages for what must not compile.
  step 'clang: build' build build/clang dev -DCMAKE_CXX_COMPILER=clang++ -DCMAKE_BUILD_TYPE=Debug -DALPHAFORM_CUDA=OFF &&
    step 'clang: tests of messages' run_tests build/clang -L messages
  step 'clang-format' is_formatted
fi
if [ -n "$all" ]; then
  step 'sanitizers: build' build build/asan asan -DALPHAFORM_CUDA=OFF && step 'sanitizers: tests' run_tests build/asan -LE 'messages|package'
  step 'clang-tidy' is_tidy
fi

printf '\n%s\n%d passed, %d failed, %d skipped\n' "$times" $passed $failed $skipped
[ $failed -eq 0 ]
