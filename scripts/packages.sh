# What Debian (12 or later) must provide, and its installation. Read by tests/run.sh and examples/quickstart.sh.
# a|b: either will do, as a package or as a command on the PATH; the first is what would be installed.
build_packages='g++ cmake ninja-build|ninja pkg-config|pkgconf libeigen3-dev libboost-dev|libboost1.81-dev libfmt-dev
  nlohmann-json3-dev libcli11-dev libpng-dev zlib1g-dev libzip-dev libicu-dev libhwy-dev'
test_packages='doctest-dev libbenchmark-dev clang clang-format clang-tidy ccache'

is_present() {
  for name in $(echo "$1" | tr '|' ' '); do
    if command -v "$name" >/dev/null 2>&1; then return 0; fi
    case $(dpkg-query -W -f='${db:Status-Status}' "$name" 2>/dev/null) in installed) return 0 ;; esac
  done
  return 1
}

# require_packages PACKAGE...: installs what is missing, or says what to install and exits with status 2.
require_packages() {
  if ! command -v dpkg-query >/dev/null 2>&1; then
    echo "This is no Debian system: please see that the equivalents of these packages are there:" $* >&2
    return 0
  fi
  missing=
  for entry in "$@"; do
    is_present "$entry" || missing="$missing ${entry%%|*}"
  done
  if [ -z "$missing" ]; then return 0; fi

  as_root=
  if [ "$(id -u)" -ne 0 ]; then as_root=sudo; fi
  if [ -n "$as_root" ] && ! command -v sudo >/dev/null 2>&1; then
    echo "These packages are missing and only root may install them. Please run: apt-get install$missing" >&2
    exit 2
  fi
  echo "Installing$missing"
  if ! { $as_root apt-get update -q &&
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $missing; }; then
    echo "The installation failed. Please run: apt-get install$missing" >&2
    exit 2
  fi
}
