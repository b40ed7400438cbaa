#!/bin/sh
# What alphaform's compile-time algebra costs a user's translation unit: seconds and MiB of the compiler at -O2, the best
# of three, beside a file that only includes Eigen/Core.
#   sh benchmarks/compile_cost.sh [build folder, default build/dev]
# It needs a configured build folder (for its include links) and /usr/bin/time (Debian package "time").
set -eu
cd "$(dirname "$0")/.."
build=${1:-build/dev}
[ -d "$build/include/alphaform" ] || { echo "compile_cost: $build has no include folder; run: cmake --preset dev" >&2; exit 2; }
[ -x /usr/bin/time ] || { echo "compile_cost: /usr/bin/time is missing; run: apt-get install time" >&2; exit 2; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# measure COMPILER FILE: "seconds MiB", the best of three
measure() {
  for run in 1 2 3; do
    /usr/bin/time -f "%U %M" -o "$work/time" "$1" -std=c++20 -O2 -c -o "$work/out.o" -I"$build/include" -Iinclude \
      -I/usr/include/eigen3 "$2"
    cat "$work/time"
  done | sort -n | awk 'NR == 1 {printf "%.2f %.0f", $1, $2 / 1024}'
}

# chain N: a declaration of N gated recurrences and filters, one after the other
chain() {
  expression='input<"x">'
  k=0
  while [ "$k" -lt "$1" ]; do
    case $((k % 4)) in
      0) expression="gate(silu(input<\"g$k\">)) * ($expression)" ;;
      1) expression="scan(sigmoid(input<\"f$k\">)) * ($expression)" ;;
      2) expression="silu(conv<\"w$k\", \"b$k\">($expression))" ;;
      3) expression="(scan(exp(-exp(param<\"a$k\">))) + diag(param<\"d$k\">)) * ($expression)" ;;
    esac
    k=$((k + 1))
  done
  printf '%s\n' "$expression"
}

echo '#include <Eigen/Core>' > "$work/eigen.cpp"
cat > "$work/declare.cpp" <<'CPP'
#include <alphaform/architectures/mamba.hpp>
CPP
cat > "$work/derive.cpp" <<'CPP'
#include <alphaform/algebra/derive.hpp>
#include <alphaform/architectures/mamba.hpp>
using namespace alphaform;
using m = architectures::mamba;
constexpr auto derived = derive(m::attention);
static_assert(normal(derived.H()) ==
              normal(gate(silu(m::z)) * (m::s6 + m::skip) * diag(sigmoid(m::c)) * fir<"conv1d.weight">));
CPP
cat > "$work/jacobian.cpp" <<'CPP'
#include <alphaform/algebra/jacobian.hpp>
#include <alphaform/architectures/mamba.hpp>
using namespace alphaform;
constexpr auto true_derivative = jacobian(architectures::mamba::attention.e);
static_assert(true_derivative.refused == absent && true_derivative.count == 4);
CPP
cat > "$work/registry.cpp" <<'CPP'
#include <alphaform/algebra/derive.hpp>
#include <alphaform/architectures/registry.hpp>
using namespace alphaform;
constexpr bool all_derived = [] {
  for (const architecture& a : registry)
    if (derive(a.attention).refused != absent) return false;
  return true;
}();
static_assert(all_derived);
CPP
for terms in 4 8 12 16; do
  declaration=$(chain $terms)
  printf '#include <alphaform/algebra/jacobian.hpp>\n#include <alphaform/algebra/layers.hpp>\nusing namespace alphaform;\nconstexpr auto y = %s;\nconstexpr auto d = derive(y);\nstatic_assert(normal(normal(d.H())) == normal(d.H()));\n' \
    "$declaration" > "$work/$terms terms.cpp"
  { cat "$work/$terms terms.cpp"; echo 'constexpr auto j = jacobian(y.e);'; } > "$work/$terms terms with Jacobian.cpp"
done

for compiler in ${CXX:-g++ clang++-14}; do
  command -v "$compiler" > /dev/null || { echo "skipped: no $compiler"; continue; }
  set -- $(measure "$compiler" "$work/eigen.cpp")
  eigen=$1
  echo "$("$compiler" --version | head -n 1)"
  printf '%-44s %8s %8s %18s\n' "translation unit" seconds MiB "ratio to Eigen/Core"
  printf '%-44s %8s %8s %18s\n' "only #include <Eigen/Core>" "$1" "$2" 1.00
  for unit in declare derive jacobian registry "4 terms" "8 terms" "12 terms" "16 terms" "4 terms with Jacobian" \
    "8 terms with Jacobian" "12 terms with Jacobian" "16 terms with Jacobian"; do
    set -- $(measure "$compiler" "$work/$unit.cpp")
    case $unit in
      declare) name="mamba, declared" ;;
      derive) name="mamba, derived and compared by hand" ;;
      jacobian) name="mamba, true Jacobian and its paths" ;;
      registry) name="every registered architecture, derived" ;;
      *) name="a chain of $unit" ;;
    esac
    printf '%-44s %8s %8s %18s\n' "$name" "$1" "$2" "$(awk "BEGIN {printf \"%.2f\", $1 / $eigen}")"
  done
done
