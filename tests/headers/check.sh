# Every public header compiles as the only include of a file:
#   sh check.sh COMPILER "INCLUDE|FOLDERS" INCLUDE_ROOT SOURCE_ROOT
# Two at a time; the messages of a header that fails are printed together.
set -eu
compiler=$1
includes=$(printf '%s' "$2" | sed 's/^/-I/; s/|/ -I/g')
cd "$4"

# The CUDA backend's own headers are not installed: nothing includes them but it.
# Names as users write them: include/alphaform/error.hpp is <alphaform/error.hpp>, algebra/axes.hpp is <alphaform/algebra/axes.hpp>.
headers=$(find include/alphaform algebra architectures backends explain -path backends/cuda -prune -o -name '*.hpp' -print | sort | sed 's,^include/alphaform/,,; s,^,alphaform/,')
[ -n "$headers" ]

failed=0
printf '%s\n' "$headers" | xargs -P 2 -n 1 sh -c '
  message=$(printf "#include <%s>\n" "$2" | "$0" -x c++ -std=c++20 -fsyntax-only $1 - 2>&1) ||
    { printf "%s does not compile alone:\n%s\n\n" "$2" "$message"; exit 1; }' "$compiler" "$includes" || failed=1
echo "$(printf '%s\n' "$headers" | wc -l) headers"
exit "$failed"
