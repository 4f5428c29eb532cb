#!/usr/bin/env bash
# Checks engine/commit_protocol.pml with spin: every state of a few small worlds, and that each of a
# few breakages of the protocol is found. Needs spin and gcc. Prints the number of states; the last
# line is "N passed, N failed". `./tools/test model` runs it.
set -uo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 2
model="$PWD/engine/commit_protocol.pml"
for program in spin gcc; do
  command -v "$program" >/dev/null || { echo "there is no $program" >&2; exit 2; }
done
scratch="$(mktemp -d)"
trap 'rm -rf "$scratch"' EXIT
passed=0
failed=0
total=0

# verdict NAME STATUS MESSAGE
verdict() {
  if (( $2 == 0 )); then
    passed=$(( passed + 1 ))
    printf 'ok      %-34s %s\n' "$1" "$3"
  else
    failed=$(( failed + 1 ))
    printf 'FAILED  %-34s %s\n' "$1" "$3"
  fi
}

# run NAME -DPARAMETER...: leaves spin's report in $scratch/NAME/out.
run() {
  local where="$scratch/$1"
  mkdir "$where" && cd "$where" || exit 1
  # Compiling with -O2 takes longer than all of the search.
  {
    spin -a "${@:2}" "$model" && gcc -O0 -w -DSAFETY -DCOLLAPSE -DMEMLIM=1500 -o pan pan.c &&
      timeout 120 ./pan -m1000000
  } >out 2>&1 </dev/null
  cd - >/dev/null || exit 1
}

holds() {
  run "$@"
  local out="$scratch/$1/out" states
  states="$(awk '/states, stored/ { print $1 }' "$out")"
  # A search that was cut short, for want of time, memory or depth, says no "errors: 0", or so.
  if grep -q 'errors: 0$' "$out" && ! grep -qE 'search not completed|max search depth' "$out"; then
    total=$(( total + states ))
    verdict "$1" 0 "$states states"
  else
    tail -n 25 "$out"
    verdict "$1" 1 "$(grep -m1 '^pan:' "$out" || echo 'the search did not end')"
  fi
}

# finds NAME MESSAGE -DPARAMETER...: spin reports an error that contains MESSAGE.
finds() {
  run "$1" "${@:3}"
  local error
  error="$(grep -m1 '^pan:1: ' "$scratch/$1/out")"
  if [[ "$error" == *"$2"* ]]; then
    verdict "$1" 0 "found"
  else
    tail -n 25 "$scratch/$1/out"
    verdict "$1" 1 "the breakage was not found"
  fi
}

holds any_wait_any_failure -DCLIENTS=2 -DOPS=1 -DIO_FAILS -DLATCH
holds commits_over_and_over -DCLIENTS=2 -DOPS=2 -DALL_WAIT_DURABLE -DIO_FAILS
holds three_share_a_group -DCLIENTS=3 -DOPS=1 -DCAPACITY=2 -DALL_WAIT_DURABLE
holds interval -DCLIENTS=2 -DOPS=1 -DINTERVAL -DIO_FAILS
holds callback_appends -DCLIENTS=3 -DOPS=1 -DBUFFERS=1 -DCALLBACK_APPENDS -DROLES -DIO_FAILS
close=(-DCLIENTS=2 -DOPS=1 -DBUFFERS=1 -DCALLBACK_APPENDS -DCLOSE_EARLY)
holds close_beside_a_callback "${close[@]}" -DIO_FAILS -DLATCH
gather=(-DCLIENTS=3 -DOPS=1 -DBUFFERS=1 -DCAPACITY=2 -DALL_WAIT_DURABLE -DGATHER)
holds leader_gathers "${gather[@]}"
spares=(-DCLIENTS=3 -DOPS=1 -DCALLBACK_APPENDS -DROLES -DSPARES)
holds callback_awaits_a_spare "${spares[@]}"
holds truncation -DCLIENTS=2 -DOPS=1 -DBUFFERS=1 -DROLES -DTRUNCATE
one=(-DCLIENTS=1 -DOPS=1 -DTRUNCATE)
holds truncation_any_failure "${one[@]}" -DIO_FAILS -DLATCH
again=(-DCLIENTS=1 -DOPS=2 -DBUFFERS=1 -DTRUNCATE)

two=(-DCLIENTS=2 -DOPS=2 -DALL_WAIT_DURABLE -DIO_FAILS)
finds breakage_ack_before_sync 'assertion violated' "${two[@]}" -DBUG_ACK_BEFORE_SYNC
finds breakage_sync_retried 'assertion violated' "${two[@]}" -DBUG_SYNC_RETRIED
finds breakage_write_before_copy 'assertion violated' "${two[@]}" -DBUG_WRITE_BEFORE_COPY
finds breakage_segment_begun_too_early 'assertion violated' "${two[@]}" \
  -DBUG_SEGMENT_BEGUN_TOO_EARLY
finds breakage_two_leaders 'assertion violated' "${two[@]}" -DBUG_TWO_LEADERS
finds breakage_lead_is_dropped 'invalid end state' "${two[@]}" -DBUG_LEAD_IS_DROPPED
finds breakage_copy_done_wakes_nobody 'invalid end state' "${two[@]}" \
  -DBUG_COPY_DONE_WAKES_NOBODY
finds breakage_drain_forgets_room 'invalid end state' -DCLIENTS=3 -DOPS=1 -DBUFFERS=1 \
  -DALL_WAIT_DURABLE -DBUG_DRAIN_FORGETS_ROOM
# The engine once was so: the flusher in a callback waited for room that only it would have made.
finds breakage_flusher_in_callback 'invalid end state' -DCLIENTS=3 -DOPS=1 -DBUFFERS=1 \
  -DCALLBACK_APPENDS -DROLES -DBUG_FLUSHER_IN_CALLBACK
# So, too: Close() made everything durable and only then refused what a callback appended.
finds breakage_closed_after_the_last_round 'assertion violated' "${close[@]}" \
  -DBUG_CLOSED_AFTER_THE_LAST_ROUND
finds breakage_gather_wakes_nobody 'assertion violated' "${gather[@]}" -DBUG_GATHER_WAKES_NOBODY
# So, too: a callback waited for a spare that is made only behind the group that nobody wrote.
finds breakage_waits_for_a_spare_in_vain 'invalid end state' "${spares[@]}" \
  -DBUG_WAITS_FOR_A_SPARE_IN_VAIN
finds breakage_nobody_drains_for_a_spare 'invalid end state' "${spares[@]}" \
  -DBUG_FLUSHER_IN_CALLBACK
# So, too: who waited for a record that was cut was told of the next one with its LSN.
finds breakage_truncation_cuts_no_waiters 'assertion violated' "${one[@]}" \
  -DBUG_TRUNCATION_CUTS_NO_WAITERS
finds breakage_leader_decides_too_late 'assertion violated' "${one[@]}" \
  -DBUG_LEADER_DECIDES_TOO_LATE
finds breakage_truncation_leaves_callbacks 'assertion violated' "${one[@]}" \
  -DBUG_TRUNCATION_LEAVES_CALLBACKS
finds breakage_truncation_forgets_room 'invalid end state' "${again[@]}" \
  -DALL_WAIT_DURABLE -DBUG_TRUNCATION_FORGETS_ROOM
finds breakage_appends_while_truncating 'assertion violated' "${again[@]}" \
  -DBUG_APPENDS_WHILE_TRUNCATING

echo "$total states of the model"
echo "$passed passed, $failed failed"
(( failed == 0 ))
