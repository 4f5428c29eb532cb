#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Usage: [CXX=...] [RUN=...] tests/portability_test.sh [SECTION...]
#
# What a compiler other than the build's makes of Seawall, without Bazel:
#
#   headers  each public header alone in C++17, all of them in C++20 and without exceptions, and
#            examples/hello.cc without exceptions: no warning
#   engine   the engine, in C++17 and C++20: no warning (it is compiled as far as that takes)
#   units    the tests of the bytes on disk, of files and of futexes, compiled at -O1: they pass
#
# CXX is the compiler with its options; a cross-compiler's programs are run by RUN (qemu-arm, say),
# if the kernel does not know how. The libraries are the system's. The last line is "N passed, N
# failed". tools/platforms runs it with many compilers.
set -uo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 2
source tests/support/compiler.sh
read -ra run <<<"${RUN:-}"
sections=("$@")
(( ${#sections[@]} )) || sections=(headers engine units)
scratch="$(mktemp -d)" || exit 2
trap 'rm -rf "$scratch"' EXIT

passed=0
failed=0
# expect WHAT COMMAND...
expect() {
  if "${@:2}" >"$scratch/out" 2>&1 </dev/null; then
    passed=$(( passed + 1 ))
    echo "ok      $1"
  else
    failed=$(( failed + 1 ))
    tail -n 40 "$scratch/out"
    echo "FAILED  $1"
  fi
}

warnings=(-Wall -Wextra -Wpedantic -Werror)
ours=(-Wall -Wextra -Werror -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual -Wold-style-cast
      -Wcast-qual -Wundef -Wvla)

# check_sources OPTION...: reads names of sources, 0 after each.
check_sources() {
  xargs -0 -n 1 -P 2 "${compiler[@]}" -fsyntax-only -Iinclude -I. "$@"
}
list_headers() { (cd include && find seawall -name '*.h' | LC_ALL=C sort); }
# Each header twice in a row: include guards.
headers_alone() {
  local header
  mkdir -p "$scratch/headers" || return 1
  for header in $(list_headers); do
    printf '#include "%s"\n#include "%s"\n' "$header" "$header" \
      >"$scratch/headers/$(tr / _ <<<"$header").cc"
  done
  find "$scratch/headers" -name '*.cc' -print0 | check_sources "${warnings[@]}" "$@"
}
headers_together() {
  list_headers | sed 's/.*/#include "&"/' >"$scratch/all.cc" &&
    printf '%s\0' "$scratch/all.cc" | check_sources "${warnings[@]}" "$@"
}
example() { printf 'examples/hello.cc\0' | check_sources "${warnings[@]}" "$@"; }
engine() { find engine -name '*.cc' -print0 | check_sources "${ours[@]}" "$@"; }

build_units() {
  "${compiler[@]}" -std=c++17 -O1 -Iinclude -I. engine/base/*.cc engine/format/*.cc engine/io/*.cc \
    tests/base/*_test.cc tests/format/format_test.cc tests/format/format_limits_test.cc \
    tests/io/*_test.cc -o "$scratch/units" "${libraries[@]}"
}
run_units() { "${run[@]}" "$scratch/units" --gtest_brief=1; }

"${compiler[@]}" --version | head -n 1
for section in "${sections[@]}"; do
  case "$section" in
    headers)
      expect "each public header, C++17" headers_alone -std=c++17
      expect "public headers, C++20" headers_together -std=c++20
      expect "public headers, C++17, -fno-exceptions" headers_together -std=c++17 -fno-exceptions
      expect "public headers, C++20, -fno-exceptions" headers_together -std=c++20 -fno-exceptions
      expect "examples/hello.cc, -fno-exceptions" example -std=c++17 -fno-exceptions
      ;;
    engine) for standard in c++17 c++20; do expect "engine, $standard" engine "-std=$standard"; done ;;
    units)
      expect "the unit tests link" build_units
      expect "the unit tests pass" run_units
      grep -E 'PASSED|SKIPPED' "$scratch/out"
      ;;
    *) echo "tests/portability_test.sh: unknown section: $section" >&2; exit 2 ;;
  esac
done
echo "$passed passed, $failed failed"
(( failed == 0 && passed > 0 ))
