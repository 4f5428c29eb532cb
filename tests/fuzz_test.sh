#!/usr/bin/env bash
# Runs each fuzzer of tests/fuzz for a while, beginning with logs that were really written:
#
#   tests/fuzz_test.sh [SECONDS]     a minute each without it
#
# Needs clang with libFuzzer. Prints the number of executions, and what was found in a form that
# replays; the last line is "N passed, N failed". `./tools/test fuzz` runs it.
set -uo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 2
seconds="${1:-60}"
fuzzers=(decoder_fuzzer recovery_fuzzer)
scratch="$(mktemp -d)"
trap 'rm -rf "$scratch"' EXIT
passed=0
failed=0
total=0

# gold warns a thousand times about symbols of clang's ASan, which is harmless.
if ! bazel build --config=fuzz --noshow_progress --show_result=0 //tests/fuzz:write_seeds \
  "${fuzzers[@]/#///tests/fuzz:}" >"$scratch/build" 2>&1 </dev/null; then
  grep -v 'ld.gold: warning' "$scratch/build"
  echo "0 passed, 1 failed"
  exit 1
fi
bin="$(bazel info --config=fuzz bazel-bin 2>/dev/null)/tests/fuzz"
mkdir "$scratch/seeds"
"$bin/write_seeds" "$scratch/seeds" || { echo "0 passed, 1 failed"; exit 1; }

for fuzzer in "${fuzzers[@]}"; do
  mkdir "$scratch/$fuzzer"
  log="$scratch/$fuzzer.log"
  "$bin/$fuzzer" -max_total_time="$seconds" -max_len=65536 -timeout=20 -rss_limit_mb=2000 \
    -print_final_stats=1 -artifact_prefix="$scratch/$fuzzer/" "$scratch/$fuzzer" "$scratch/seeds" \
    >"$log" 2>&1 </dev/null
  status=$?
  runs="$(awk '/stat::number_of_executed_units/ { print $2 }' "$log")"
  # What does not even try all the seeds has tested nothing.
  if (( status == 0 && ${runs:-0} > 200 )); then
    passed=$(( passed + 1 ))
    total=$(( total + runs ))
    echo "ok      $fuzzer: $runs executions"
  else
    failed=$(( failed + 1 ))
    echo "FAILED  $fuzzer: status $status after ${runs:-0} executions"
    grep -vE '^#[0-9]|NEW_FUNC' "$log" | tail -n 60
    for found in "$scratch/$fuzzer"/{crash,timeout,oom,leak}-*; do
      [[ -e "$found" ]] || continue
      echo "To replay it: base64 -d <<<'...' | gunzip >found && $bin/$fuzzer found, with"
      gzip -9 -c "$found" | base64 -w 0
      echo
    done
  fi
done
echo "$total executions of fuzzers"
echo "$passed passed, $failed failed"
(( failed == 0 ))
