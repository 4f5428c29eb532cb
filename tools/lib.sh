# SPDX-License-Identifier: Apache-2.0
# Sourced by the scripts here: finds what is needed, and installs what is missing.
#
#   need libxxhash-dev "checksums" test -e /usr/include/xxhash.h
#   need_build
#   install_missing

# Bazel wants a home to put its output in; a bare environment may not name one.
if [[ -z "${HOME:-}" ]]; then
  HOME="$(getent passwd "$(id -u)" | cut -d: -f6)"
  export HOME="${HOME:-/tmp}"
fi

# Options for each `bazel build` of the scripts: tools/test names some.
read -ra build_options <<<"${SEAWALL_BUILD_OPTIONS:-}"

# What `need` was asked for: package, reason, and the command that succeeds when it is there.
needed_packages=()
needed_reasons=()
needed_tests=()

# need PACKAGE WHY TEST...: the command TEST... succeeds once Debian's PACKAGE is installed.
need() {
  needed_packages+=("$1")
  needed_reasons+=("$2")
  needed_tests+=("$(printf '%q ' "${@:3}")")
}

# bazel_major: the major version of the Bazel that is here, or that apt would install.
bazel_major() {
  local version
  if command -v bazel >/dev/null; then version="$(bazel --version 2>/dev/null)"
  else version="$(apt-cache policy bazel-bootstrap 2>/dev/null | sed -n 's/^ *Candidate: /bazel /p')"
  fi
  # Debian's Bazel 4.2.3 says "no_version".
  [[ "$version" =~ ^bazel\ ([0-9]+)\. ]] && echo "${BASH_REMATCH[1]}" || echo 4
}

# need_build: everything that `bazel build //...` takes.
need_build() {
  if [[ "$PWD" == *" "* ]]; then
    echo "Bazel cannot build below a path with a space in it: $PWD" >&2
    exit 2
  fi
  need bazel-bootstrap "Bazel, which builds and tests" command -v bazel
  need g++ "the C++ compiler" command -v g++
  # No module of the Bazel Central Registry.
  need libuv1-dev "the event loop of examples/journal_server" test -e /usr/include/uv.h
  need libhiredis-dev "its protocol parser" test -e /usr/include/hiredis/hiredis.h
  # Bazel 7 and later take the other libraries from the Bazel Central Registry (MODULE.bazel).
  (( $(bazel_major) >= 7 )) || need_libraries
}

# need_libraries: what Bazel 4 to 6, and builds without Bazel, take from Debian.
need_libraries() {
  need libabsl-dev "Abseil: Status, strings, flags" test -e /usr/include/absl/base/config.h
  need libxxhash-dev "xxHash: checksums" test -e /usr/include/xxhash.h
  need nlohmann-json3-dev "JSON: the seawall command" test -e /usr/include/nlohmann/json.hpp
  need libgtest-dev "GoogleTest: the tests" test -e /usr/include/gtest/gtest.h
  need libgmock-dev "GoogleMock: the tests' matchers" test -e /usr/include/gmock/gmock.h
  need libbenchmark-dev "Google Benchmark: bench/" test -e /usr/include/benchmark/benchmark.h
}

has_libfuzzer() {
  echo 'extern "C" int LLVMFuzzerTestOneInput(const char*, unsigned long) { return 0; }' |
    clang++ -fsanitize=fuzzer,address -x c++ - -o /dev/null
}

# need_fuzz: what tests/fuzz/fuzz_test.sh takes.
need_fuzz() {
  need clang "compiles the fuzzers" command -v clang++
  need libclang-rt-dev "libFuzzer, for the fuzzers only" has_libfuzzer
}

# run_under_tsan: the command to run a program of GCC's ThreadSanitizer under, if it takes one. GCC
# 12's runtime gives up where the kernel randomizes addresses by more than 28 bits, as newer
# distributions' kernels do.
run_under_tsan() {
  if (( $(cat /proc/sys/vm/mmap_rnd_bits 2>/dev/null || echo 28) > 28 )); then
    echo "setarch --addr-no-randomize"
  fi
}

# Sets `missing` to the indexes of what is needed and not there.
find_missing() {
  missing=()
  local i
  for i in "${!needed_packages[@]}"; do
    eval "${needed_tests[i]}" >/dev/null 2>&1 || missing+=("$i")
  done
}

list_missing() {
  local i
  for i in "${missing[@]}"; do
    printf '  %-18s %s\n' "${needed_packages[i]}" "${needed_reasons[i]}"
  done
}

# install_missing: installs what is missing, or says what to install and exits with 2. $without, if
# set, says how to go without.
install_missing() {
  local missing
  find_missing
  (( ${#missing[@]} )) || return 0

  local i packages=() as_root=()
  for i in "${missing[@]}"; do packages+=("${needed_packages[i]}"); done

  local family
  family=" $(. /etc/os-release 2>/dev/null; echo "${ID:-} ${ID_LIKE:-}") "
  if [[ "$family" != *" debian "* && "$family" != *" ubuntu "* ]]; then
    echo "Please install the following first (these are Debian's names for it):" >&2
    list_missing >&2
    [[ -z "${without:-}" ]] || echo "$without" >&2
    exit 2
  fi
  if (( EUID != 0 )); then
    if ! command -v sudo >/dev/null; then
      echo "Missing, and neither root nor sudo to install it:" >&2
      list_missing >&2
      echo "As root: apt-get install ${packages[*]}" >&2
      [[ -z "${without:-}" ]] || echo "$without" >&2
      exit 2
    fi
    as_root=(sudo)
  fi

  echo "Installing with apt-get what is missing:"
  list_missing
  local log
  log="$(mktemp)"
  # One package index update, then one install; their chatter only matters when they fail.
  if ! { "${as_root[@]}" apt-get -q update &&
         "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -y \
           -o DPkg::Lock::Timeout=300 install --no-install-recommends "${packages[@]}"
       } >"$log" 2>&1 </dev/null; then
    tail -n 20 "$log" >&2
    rm -f "$log"
    echo "apt-get failed. Please install by hand: ${packages[*]}" >&2
    exit 2
  fi
  rm -f "$log"

  hash -r
  find_missing
  if (( ${#missing[@]} )); then
    echo "Installed, and still not usable:" >&2
    list_missing >&2
    [[ -z "${without:-}" ]] || echo "$without" >&2
    exit 2
  fi
}
