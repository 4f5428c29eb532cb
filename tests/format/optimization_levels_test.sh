#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Compiles what encodes and decodes the bytes on disk at each optimization level, without Bazel, and
# runs its tests. GCC 14.2 compiled a sound decoder wrongly at -O1 only, so one level says nothing
# about another. ${CXX:-g++} compiles. The last line is "N passed, N failed"; `./tools/test levels`
# runs this.
set -uo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 2
source tests/support/compiler.sh
scratch="$(mktemp -d)" || exit 2
trap 'rm -rf "$scratch"' EXIT

# build_and_run LEVEL
build_and_run() {
  "${compiler[@]}" -std=c++17 "$1" -Iinclude -I. engine/base/*.cc engine/format/*.cc \
    tests/format/format_test.cc tests/format/format_limits_test.cc -o "$scratch/test$1" \
    "${libraries[@]}" &&
    "$scratch/test$1" --gtest_brief=1
}

"${compiler[@]}" --version | head -n 1
levels=(-O0 -O1 -O2 -O3 -Os)
jobs=()
for level in "${levels[@]}"; do
  build_and_run "$level" >"$scratch/out$level" 2>&1 </dev/null &
  jobs+=($!)
done
passed=0
failed=0
for i in "${!levels[@]}"; do
  if wait "${jobs[i]}"; then
    passed=$(( passed + 1 ))
    echo "ok      ${levels[i]}: $(grep PASSED "$scratch/out${levels[i]}")"
  else
    failed=$(( failed + 1 ))
    tail -n 40 "$scratch/out${levels[i]}"
    echo "FAILED  ${levels[i]}"
  fi
done
echo "$passed passed, $failed failed"
(( failed == 0 && passed > 0 ))
