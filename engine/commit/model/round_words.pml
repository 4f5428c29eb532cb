/* SPDX-License-Identifier: Apache-2.0 */
/* The words of round_words.h, for the model checker spin (see commit_protocol.pml).
 * tests/commit/commit_model_test.sh runs it.
 *
 * Three threads wait on one word, one of them OPS times: who waits for the next round but one shares
 * it with who was satisfied long ago and has not been woken yet. LEADERS threads satisfy any of those
 * that wait, under the mutex, then wake them without it, as slowly as they like: one may still be at
 * it when another does the same. WakeOne() wakes any of those that sleep, for futex(2) promises no
 * order. Nobody wakes by itself: that would hide a lost wake-up.
 *
 * Claimed: no waiter that was satisfied sleeps for ever. Spin reports a final state in which somebody
 * has not come to its end. UNHELPED: the one that WakeOne() woke wakes nobody, as if the scheduler
 * kept it waiting: the leader does without.
 * BUG_*: one line is broken; spin must find it.
 */
#define WAITERS 3
#ifndef OPS
#define OPS 2
#endif
#ifndef LEADERS
#define LEADERS 2
#endif

bool locked;
bool word_changed[WAITERS];  /* since that one looked at it */
bool due;
bool parked[WAITERS], asleep[WAITERS];
byte waiting, waits_left = OPS + 2;

inline ChangeWord() {
  atomic {
    w = 0;
    do
    :: w < WAITERS -> word_changed[w] = true; w++
    :: else -> break
    od;
    w = 0
  }
}

inline WakeAll() {
  atomic {
    w = 0;
    do
    :: w < WAITERS -> asleep[w] = false; w++
    :: else -> break
    od;
    w = 0
  }
}

inline WakeIfDue() {
  if
  :: atomic { due -> skip };
     if
     :: atomic { due -> due = false };  /* exchange */
        WakeAll()
     :: else
     fi
  :: else
  fi
}

/* Any one that sleeps, if there is one. */
inline WakeOne() {
  if
  :: due ->
     if
     :: atomic { asleep[0] -> asleep[0] = false }
     :: atomic { asleep[1] -> asleep[1] = false }
     :: atomic { asleep[2] -> asleep[2] = false }
     :: else
     fi
  :: else
  fi
}

proctype Client(byte me) {
  byte ops, w;
  do
  :: ops < (me == 0 -> OPS : 1) ->
     atomic { !locked -> parked[me] = true; waiting++ };
     do  /* Waiter::Park() */
     :: word_changed[me] = false;
        if
        :: !parked[me] -> break
        :: else
        fi;
        if  /* FutexWait */
        :: atomic { !word_changed[me] -> asleep[me] = true };
           !asleep[me]
        :: word_changed[me]
        fi;
#ifndef UNHELPED
        WakeIfDue()
#endif
     od;
     atomic { ops++; waits_left-- }
  :: else -> break
  od
}

proctype Leader() {
  byte w, kept;
  do
  :: atomic { !locked && waiting > 0 -> locked = true };  /* HandOff() */
#ifdef BUG_RELEASED_BEFORE_THE_STATES
     ChangeWord();
     due = true;
#endif
     atomic {  /* those that wait, or all but one; each looks at its own state only */
       kept = WAITERS;
       if
       :: waiting > 1 && parked[0] -> kept = 0
       :: waiting > 1 && parked[1] -> kept = 1
       :: waiting > 1 && parked[2] -> kept = 2
       :: true
       fi;
       do
       :: w < WAITERS ->
          if
          :: parked[w] && w != kept -> parked[w] = false; waiting--
          :: else
          fi;
          w++
       :: else -> break
       od;
       w = 0;
       kept = 0
     };
#ifdef BUG_DUE_BEFORE_THE_WORD
     due = true;
     ChangeWord();
#else
#ifndef BUG_RELEASED_BEFORE_THE_STATES
     ChangeWord();
     due = true;
#endif
#endif
     locked = false;
     WakeOne();
#ifndef BUG_THE_LEADER_LEAVES_THEM
     WakeIfDue()
#endif
  :: waits_left == 0 -> break
  od
}

init {
  atomic {
    byte i;
    do
    :: i < WAITERS -> run Client(i); i++
    :: else -> break
    od;
    i = 0;
    do
    :: i < LEADERS -> run Leader(); i++
    :: else -> break
    od
  }
}
