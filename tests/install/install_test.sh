#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Installs Seawall with tools/install into a scratch directory, builds programs that use it without
# Bazel (g++, gcc, CMake, pkg-config, Python), and runs them.
#
#   tests/install/install_test.sh
#
# Needs what the build takes, and cmake, pkg-config and mandoc. The last line is "N passed, N failed".
# `./tools/test install` runs it.
set -uo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 2
source_root="$PWD"
scratch="$(mktemp -d)" || exit 2
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
prefix="$scratch/a prefix/usr"  # refused: see below
passed=0
failed=0

# expect WHAT COMMAND...: the command succeeds. What it says is shown if it does not.
expect() {
  local start=$SECONDS
  if "${@:2}" >"$scratch/said" 2>&1 </dev/null; then
    passed=$(( passed + 1 ))
    printf 'ok      %-60s %3d s\n' "$1" $(( SECONDS - start ))
  else
    failed=$(( failed + 1 ))
    echo "FAILED  $1: ${*:2}"
    head -c 4000 "$scratch/said"
  fi
}
# fails STATUS COMMAND...: the command ends with this status.
fails() {
  "${@:2}"
  (( $? == $1 ))
}
flags() { pkg-config "$@" || echo "--pkg-config-failed"; }

expect "--help explains" tools/install --help
expect "without PREFIX it is refused" fails 2 tools/install
expect "a PREFIX that pkg-config cannot hold is refused" fails 2 tools/install "$prefix"
[[ ! -e "$prefix" ]] || echo "FAILED  $prefix was made"
prefix="$scratch/prefix"

expect "installs" tools/install "$prefix"
if (( failed )); then  # nothing else would tell more
  echo "$passed passed, $failed failed"
  exit 1
fi
# ---- Below $DESTDIR, and away again

in_destdir() {
  DESTDIR="$scratch/stage" tools/install /opt/seawall &&
    grep -q '^prefix=/opt/seawall$' "$scratch/stage/opt/seawall/lib/pkgconfig/seawall.pc" &&
    ! grep -rqI --exclude-dir=include -e "$scratch" -e "$source_root" "$scratch/stage" &&
    [[ "$(cd "$scratch/stage/opt/seawall" && find . ! -type d | wc -l)" -eq \
      "$(cd "$prefix" && find . ! -type d | wc -l)" ]]
}
uninstalls() {
  echo mine >"$scratch/stage/opt/seawall/lib/mine" &&
    DESTDIR="$scratch/stage" tools/install --uninstall /opt/seawall &&
    [[ "$(cd "$scratch/stage" && find . ! -type d)" == ./opt/seawall/lib/mine ]]
}
expect "DESTDIR" in_destdir
expect "--uninstall leaves what is not ours" uninstalls

# Not before: Bazel builds all anew when LD_LIBRARY_PATH changes.
export PKG_CONFIG_PATH="$prefix/lib/pkgconfig" LD_LIBRARY_PATH="$prefix/lib"

# ---- C++

real_archive() {
  local unit members
  [[ "$(head -c 7 "$prefix/lib/libseawall.a")" == '!<arch>' ]] || return 1  # thin: !<thin>
  members="$(ar t "$prefix/lib/libseawall.a")" || return 1
  for unit in engine/*/*.cc; do
    [[ "$unit" != engine/testing/* ]] || continue
    unit="$(basename "$unit" .cc)"
    grep -qE "^$unit(\.pic)?\.o$" <<<"$members" || { echo "no $unit"; return 1; }
  done
}
# built_cpp OUTPUT OPTION...: examples/hello.cc
built_cpp() { g++ -std=c++17 -Wall -Wextra -Werror -O1 examples/hello.cc -o "$@"; }
# keeps COMMAND: writes one record, and has it at the second start.
keeps() {
  local log
  log="$(mktemp -u "$scratch/log.XXXXXX")"
  "$@" "$log" | tee "$scratch/first" && grep -q 'opened: created' "$scratch/first" &&
    "$@" "$log" | tee "$scratch/second" && grep -q '^2: ' "$scratch/second"
}
read -ra cpp <<<"$(flags --cflags --libs seawall)"
read -ra cpp_static <<<"$(flags --static --cflags --libs seawall)"
expect "the archive has all of the engine" real_archive
expect "g++ with pkg-config's flags" built_cpp "$scratch/hello" "${cpp[@]}"
expect "  and it runs" keeps "$scratch/hello"
expect "g++ -static with pkg-config --static" built_cpp "$scratch/hello_static" -static "${cpp_static[@]}"
expect "  and it runs" keeps "$scratch/hello_static"

headers_compile() {
  local header name
  for header in "$prefix"/include/seawall/*.h; do
    name="seawall/${header##*/}"
    echo "#include \"$name\""
  done >"$scratch/all.cc"
  # Twice: include guards. Each is the first in its own library, so that each stands alone.
  cat "$scratch/all.cc" >>"$scratch/all.cc.twice" && cat "$scratch/all.cc" >>"$scratch/all.cc.twice"
  g++ -std=c++17 -Wall -Wextra -Wpedantic -Werror -fsyntax-only -x c++ "$scratch/all.cc.twice" \
    -I "$prefix/include" &&
    echo '#include <seawall/c.h>' |
      gcc -std=c99 -Wall -Wextra -pedantic -Werror -fsyntax-only -x c - -I "$prefix/include"
}
in_a_plugin() {
  g++ -std=c++17 -O1 -fPIC -shared tests/install/plugin.cc -o "$scratch/plugin.so" "${cpp[@]}" \
    -Wl,-z,defs &&
    python3 -c 'import ctypes, sys
sys.exit(ctypes.CDLL(sys.argv[1]).Plugin(sys.argv[2].encode()))' "$scratch/plugin.so" "$scratch/plugin_log"
}
expect "headers compile without a warning, c.h as C99, too" headers_compile
expect "libseawall.a in a shared library of one's own" in_a_plugin

# ---- C, with the manual's program and with what tests/c/c_api_test.cc runs

# The EXAMPLES of seawall(3).
sed -n '/^\.Bd -literal/,/^\.Ed/ { /^\./d; s/\\e/\\/g; p }' dist/seawall.3 >"$scratch/journal.c"
{
  sed 's|^#include "tests/.*|#include "c_api_user.h"|' tests/c/c_api_user.c
  cat <<'END'
int main(int argc, char** argv) {
  const CApiCase* next;
  if (argc != 2) return 2;
  for (next = kCApiCases; next->name != NULL; ++next) {
    char directory[1024];
    const char* failure;
    snprintf(directory, sizeof(directory), "%s.%s", argv[1], next->name);
    failure = next->run(directory);
    if (failure != NULL) return printf("%s: %s\n", next->name, failure), 1;
  }
  return 0;
}
END
} >"$scratch/cases.c"
# built_c OUTPUT SOURCE OPTION...
built_c() {
  gcc -std=c99 -Wall -Wextra -pedantic -Werror -I tests/c "$2" -o "$1" "${@:3}"
}
runs_journal() { (cd "$(mktemp -d -p "$scratch")" && "$@" | grep -x 'record 1 is on stable storage'); }
needs_only_us() {
  [[ "$(readelf -d "$1" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' | sort | tr '\n' ' ')" == \
    "libc.so.6 libseawall.so.1 " ]]
}
read -ra c <<<"$(flags --cflags --libs seawall-c)"
expect "gcc with seawall-c" built_c "$scratch/journal" "$scratch/journal.c" "${c[@]}"
expect "  and it runs" runs_journal "$scratch/journal"
expect "  and needs libseawall.so.1 alone" needs_only_us "$scratch/journal"
expect "gcc, all cases" built_c "$scratch/cases" "$scratch/cases.c" "${c[@]}"
expect "  and they pass" "$scratch/cases" "$scratch/shared"
expect "gcc, all cases, with the static library" built_c "$scratch/cases_static" "$scratch/cases.c" "${cpp[@]}"
expect "  and they pass" "$scratch/cases_static" "$scratch/static"

python_journal() {
  python3 examples/ctypes_journal.py "$scratch/python" one two | tee "$scratch/out" &&
    grep -qx '2: two' "$scratch/out"
}
expect "Python, by the library's name alone" python_journal

# ---- CMake

cmake_builds() {
  mkdir "$scratch/cmake" && cp tests/install/CMakeLists.txt "$scratch/journal.c" "$scratch/cmake" &&
    cmake -S "$scratch/cmake" -B "$scratch/cmake/build" -DSEAWALL_SOURCE="$source_root" \
      -DCMAKE_PREFIX_PATH="$prefix" &&
    cmake --build "$scratch/cmake/build" --parallel 2
}
cmake_refuses() {
  sed 's/find_package(seawall 0.1/find_package(seawall 0.2/' tests/install/CMakeLists.txt \
    >"$scratch/cmake/CMakeLists.txt" &&
    ! cmake -S "$scratch/cmake" -B "$scratch/cmake/build" >"$scratch/refused" 2>&1 &&
    grep -q 'seawallConfig.cmake, version: 0.1' "$scratch/refused"
}
# Without LD_LIBRARY_PATH: CMake's programs know where their libraries are.
expect "CMake with find_package(seawall)" cmake_builds
expect "  and C++ runs" keeps env -u LD_LIBRARY_PATH "$scratch/cmake/build/hello"
expect "  and C runs" runs_journal env -u LD_LIBRARY_PATH "$scratch/cmake/build/journal"
expect "  and a version that is too old is refused" cmake_refuses

# ---- The tool and the manual

tool_works() {
  seq 1000 >"$scratch/numbers" && "$prefix/bin/seawall" append "$scratch/numbers.wal" "$scratch/numbers" &&
    "$prefix/bin/seawall" dump --raw "$scratch/numbers.wal" | cmp - "$scratch/numbers"
}
versions_agree() {
  local version
  version="$(pkg-config --modversion seawall)" && [[ "$(pkg-config --modversion seawall-c)" == "$version" ]] &&
    [[ "$(python3 -c 'import ctypes
version = ctypes.CDLL("libseawall.so.1").seawall_version
version.restype = ctypes.c_char_p
print(version().decode())')" == "$version" ]] && grep -q "^    version = \"$version\",$" MODULE.bazel
}
expect "the tool works" tool_works
expect "pkg-config, library and MODULE.bazel have one version" versions_agree
expect "mandoc has no complaint" sh -c 'mandoc -T lint -W warning "$0"/share/man/man*/*' "$prefix"
expect "the manual has all of --help and of c.h" python3 tests/install/check_docs.py "$prefix"

echo "$passed passed, $failed failed"
(( failed == 0 && passed > 0 ))
