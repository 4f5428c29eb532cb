#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs the fuzzers of tests/fuzz for a while, both at once, beginning with logs that were really
# written:
#
#   tests/fuzz/fuzz_test.sh [SECONDS [CORPUS]]     a minute without it
#
# What is new in an input is kept in the directory CORPUS, if given, and the next run goes on from
# there. SEAWALL_TEST_SEED=N repeats the changes of a run that printed N; SEAWALL_FUZZ_BIN=DIR takes
# the programs from there instead of building them.
#
# Needs clang with libFuzzer. Prints the number of executions, and what was found as a command that
# replays it; the last line is "N passed, N failed". `./tools/test fuzz` runs it.
set -uo pipefail

[[ -z "${2:-}" ]] || corpus="$(realpath -m -- "$2")"
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 2
source tools/lib.sh
seconds="${1:-60}"
seed="${SEAWALL_TEST_SEED:-$(( SRANDOM % 2147483647 + 1 ))}"
bin="${SEAWALL_FUZZ_BIN:-}"
fuzzers=(decoder_fuzzer recovery_fuzzer)
scratch="$(mktemp -d)"
corpus="${corpus:-$scratch/corpus}"
pids=()
# The fuzzers end by SIGTERM, if this is stopped before they are done.
finish() {
  (( ${#pids[@]} )) && kill "${pids[@]}" 2>/dev/null && wait "${pids[@]}"
  rm -rf "$scratch"
} 2>/dev/null
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
passed=0
failed=0
total=0

build() {
  if ! has_libfuzzer >"$scratch/build" 2>&1; then
    cat "$scratch/build"
    echo "There is no clang++ with libFuzzer here (Debian: clang, libclang-rt-dev)" >&2
    return 1
  fi
  # gold warns a thousand times about symbols of clang's ASan, which is harmless.
  if ! bazel build "${build_options[@]}" --config=fuzz --noshow_progress --show_result=0 \
    //tests/fuzz:write_seeds "${fuzzers[@]/#///tests/fuzz:}" >"$scratch/build" 2>&1 </dev/null; then
    grep -v 'ld.gold: warning' "$scratch/build"
    return 1
  fi
  bin="$(bazel info --config=fuzz bazel-bin 2>/dev/null)/tests/fuzz"
}

# replay FUZZER FILE: one line to be pasted anywhere in this repository.
replay() {
  printf "To replay it: base64 -d <<<'%s' | gunzip >/tmp/found && " "$(gzip -9 -n -c "$2" | base64 -w 0)"
  printf 'bazel run --config=fuzz //tests/fuzz:%s -- /tmp/found\n' "$1"
}

# judge FUZZER STATUS
judge() {
  local log="$scratch/$1.log" runs found
  runs="$(awk '/stat::number_of_executed_units/ { print $2 }' "$log")"
  # What does not even try all the seeds has tested nothing.
  if (( $2 == 0 && ${runs:-0} > seeds )); then
    passed=$(( passed + 1 ))
    total=$(( total + runs ))
    echo "ok      $1: $runs executions"
    return
  fi
  failed=$(( failed + 1 ))
  echo "FAILED  $1: status $2 after ${runs:-0} executions"
  grep -vE '^#[0-9]|NEW_FUNC' "$log" | tail -n 60
  for found in "$scratch/$1"/{crash,timeout,oom,leak}-*; do
    [[ ! -e "$found" ]] || replay "$1" "$found"
  done
}

mkdir "$scratch/seeds"
if ! { [[ -n "$bin" ]] || build; } || ! "$bin/write_seeds" "$scratch/seeds"; then
  echo "0 passed, 1 failed"
  exit 1
fi
seeds="$(find "$scratch/seeds" -type f | wc -l)"
echo "SEAWALL_TEST_SEED=$seed"
for fuzzer in "${fuzzers[@]}"; do
  mkdir -p "$scratch/$fuzzer" "$corpus/$fuzzer"
  "$bin/$fuzzer" -seed="$seed" -max_total_time="$seconds" -max_len=65536 -timeout=20 \
    -rss_limit_mb=2000 -print_final_stats=1 -artifact_prefix="$scratch/$fuzzer/" \
    "$corpus/$fuzzer" "$scratch/seeds" >"$scratch/$fuzzer.log" 2>&1 </dev/null &
  pids+=($!)
done
for i in "${!fuzzers[@]}"; do
  wait "${pids[i]}"
  judge "${fuzzers[i]}" $?
done
pids=()
echo "$total executions of fuzzers"
echo "$passed passed, $failed failed"
(( failed == 0 ))
