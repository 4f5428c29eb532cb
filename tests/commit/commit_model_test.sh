#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Checks the models in engine/commit/model with spin: every state of a few small worlds, and that each
# of a few breakages of the protocols is found. Needs spin and a C compiler. Prints the number of
# states; the last line is "N passed, N failed". `./tools/test model` runs it.
set -uo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 2
model="$PWD/engine/commit/model/commit_protocol.pml"
# Most of the time is the compiler's: clang takes half as long as gcc.
compiler="$(command -v clang || command -v gcc)" || { echo "there is no clang, no gcc" >&2; exit 2; }
command -v spin >/dev/null || { echo "there is no spin" >&2; exit 2; }
scratch="$(mktemp -d)"
trap 'rm -rf "$scratch"' EXIT

# verdict NAME STATUS MESSAGE
verdict() {
  local word=FAILED
  (( $2 == 0 )) && word=ok
  echo "$word" >"$scratch/$1/verdict"
  printf '%-7s %-34s %s\n' "$word" "$1" "$3"
}

# run NAME -DPARAMETER...: leaves spin's report in $scratch/NAME/out.
run() {
  mkdir "$scratch/$1" && cd "$scratch/$1" || exit 1
  # Compiling with -O2 takes longer than all of the search.
  {
    spin -a "${@:2}" "$model" &&
      "$compiler" -O0 -w -DSAFETY -DCOLLAPSE -DMEMLIM=1500 -o pan pan.c &&
      timeout 120 ./pan -m1000000
  } >out 2>&1 </dev/null
  rm -f pan pan.?
}

check_holds() {
  run "$@"
  local out="$scratch/$1/out" states
  states="$(awk '/states, stored/ { print $1 }' "$out")"
  # A search that was cut short, for want of time, memory or depth, says no "errors: 0", or so.
  if grep -q 'errors: 0$' "$out" && ! grep -qE 'search not completed|max search depth' "$out"; then
    echo "$states" >"$scratch/$1/states"
    verdict "$1" 0 "$states states"
  else
    tail -n 25 "$out"
    verdict "$1" 1 "$(grep -m1 '^pan:' "$out" || echo 'the search did not end')"
  fi
}

check_finds() {
  run "$1" "${@:3}"
  local out="$scratch/$1/out" error
  error="$(grep -m1 '^pan:1: ' "$out")"
  if [[ "$error" == *"$2"* ]]; then
    verdict "$1" 0 "found"
  else
    tail -n 25 "$out"
    verdict "$1" 1 "the breakage was not found"
  fi
}

# Two at a time.
checks=0
in_turn() {
  checks=$(( checks + 1 ))
  (( $(jobs -rp | wc -l) < 2 )) || wait -n
  "$@" &
}
# holds NAME -DPARAMETER...: spin finds no error.
holds() { in_turn check_holds "$@"; }
# finds NAME MESSAGE -DPARAMETER...: spin reports an error that contains MESSAGE.
finds() { in_turn check_finds "$@"; }

holds any_wait_any_failure -DCLIENTS=2 -DOPS=1 -DBUFFERS=1 -DCAPACITY=2 -DIO_FAILS -DLATCH
holds commits_over_and_over -DCLIENTS=2 -DOPS=2 -DALL_WAIT_DURABLE -DIO_FAILS
holds three_share_a_group -DCLIENTS=3 -DOPS=1 -DCAPACITY=2 -DALL_WAIT_DURABLE
try=(-DCLIENTS=2 -DOPS=2 -DBUFFERS=1 -DCAPACITY=2 -DALL_WAIT_DURABLE -DIO_FAILS)
holds without_the_mutex "${try[@]}"
holds without_the_mutex_two_buffers -DCLIENTS=2 -DOPS=2 -DCAPACITY=2 -DALL_WAIT_DURABLE -DLATCH
holds interval -DCLIENTS=2 -DOPS=1 -DBUFFERS=1 -DCAPACITY=2 -DINTERVAL -DIO_FAILS
callback=(-DCLIENTS=2 -DOPS=2 -DBUFFERS=1 -DCALLBACK_APPENDS -DROLES)
holds callback_appends "${callback[@]}" -DIO_FAILS
close=(-DCLIENTS=2 -DOPS=1 -DBUFFERS=1 -DCALLBACK_APPENDS -DCLOSE_EARLY)
holds close_beside_a_callback "${close[@]}" -DCAPACITY=2 -DIO_FAILS
delay=(-DCLIENTS=2 -DOPS=2 -DBUFFERS=1 -DCAPACITY=2 -DALL_WAIT_DURABLE -DDELAY)
holds commit_delay "${delay[@]}"
spares=(-DCLIENTS=2 -DOPS=2 -DCALLBACK_APPENDS -DROLES -DSPARES)
holds callback_awaits_a_spare "${spares[@]}"
holds truncation -DCLIENTS=2 -DOPS=1 -DBUFFERS=1 -DCAPACITY=2 -DROLES -DTRUNCATE
one=(-DCLIENTS=1 -DOPS=1 -DTRUNCATE -DTRUNCATOR_APPENDS)
holds truncation_any_failure "${one[@]}" -DCAPACITY=2 -DIO_FAILS -DLATCH
again=(-DCLIENTS=1 -DOPS=2 -DBUFFERS=1 -DTRUNCATE -DTRUNCATOR_APPENDS)

two=(-DCLIENTS=2 -DOPS=2 -DALL_WAIT_DURABLE -DIO_FAILS)
finds breakage_ack_before_sync 'assertion violated' "${two[@]}" -DBUG_ACK_BEFORE_SYNC
finds breakage_sync_retried 'assertion violated' "${two[@]}" -DBUG_SYNC_RETRIED
finds breakage_segment_begun_too_early 'assertion violated' "${two[@]}" \
  -DBUG_SEGMENT_BEGUN_TOO_EARLY
finds breakage_two_leaders 'assertion violated' "${two[@]}" -DBUG_TWO_LEADERS
finds breakage_lead_is_dropped 'invalid end state' "${two[@]}" -DBUG_LEAD_IS_DROPPED
finds breakage_copy_done_wakes_nobody 'invalid end state' "${two[@]}" \
  -DBUG_COPY_DONE_WAKES_NOBODY
finds breakage_write_before_copy 'assertion violated' "${try[@]}" -DBUG_WRITE_BEFORE_COPY
finds breakage_close_leaves_the_word 'assertion violated' "${try[@]}" -DBUG_CLOSE_LEAVES_THE_WORD
finds breakage_fail_leaves_buffer_open 'assertion violated' "${try[@]}" \
  -DBUG_FAIL_LEAVES_THE_BUFFER_OPEN
# No epoch in the word, and first LSN looked up before the exchange.
finds breakage_no_epoch 'assertion violated' "${try[@]}" -DBUG_NO_EPOCH
finds breakage_drain_forgets_room 'invalid end state' -DCLIENTS=3 -DOPS=1 -DBUFFERS=1 \
  -DALL_WAIT_DURABLE -DBUG_DRAIN_FORGETS_ROOM
# The engine once was so: the flusher in a callback waited for room that only it would have made.
finds breakage_flusher_in_callback 'invalid end state' "${callback[@]}" -DBUG_FLUSHER_IN_CALLBACK
# So, too: Close() made everything durable and only then refused what a callback appended.
finds breakage_closed_after_the_last_round 'assertion violated' "${close[@]}" \
  -DBUG_CLOSED_AFTER_THE_LAST_ROUND
finds breakage_gather_wakes_nobody 'assertion violated' "${delay[@]}" -DBUG_GATHER_WAKES_NOBODY
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

model="$PWD/engine/commit/model/round_words.pml"
holds shared_word
holds shared_word_unhelped -DUNHELPED
finds breakage_released_before_the_states 'invalid end state' -DBUG_RELEASED_BEFORE_THE_STATES
finds breakage_due_before_the_word 'invalid end state' -DBUG_DUE_BEFORE_THE_WORD
finds breakage_the_leader_leaves_them 'invalid end state' -DUNHELPED -DBUG_THE_LEADER_LEAVES_THEM

wait
passed="$(cat "$scratch"/*/verdict | grep -cx ok)"
failed=$(( checks - passed ))
echo "$(cat "$scratch"/*/states | awk '{ sum += $1 } END { print sum }') states of the model"
echo "$passed passed, $failed failed"
(( failed == 0 ))
