/* SPDX-License-Identifier: Apache-2.0 */
/* The commit protocol of engine/commit, for the model checker spin (https://spinroot.com; G. J.
 * Holzmann, "The Model Checker SPIN", IEEE TSE 1997). tests/commit/commit_model_test.sh runs it.
 *
 * Every inline below is one function of GroupCommit, CommitRounds (AwaitTurn, TakeLead, Round,
 * Drain, Sync, Advance, HandOff, Fail), BufferRing (Reserve, OpenNext, CloseOpen), CommitQueue
 * (Delay), FastAppend (TryAppend) or RoundIo (WriteGroup), named after it (HandOff(), Wait() and
 * Truncate() with the steps that they consist of there); what is under the mutex there is under
 * `mutex` here. What the threads do without it (copies, parking, waking, writing, syncing) is a step
 * of its own, so that all interleavings are tried. Left out: bytes, offsets, LSNs above a few, the
 * mutex's own fairness, how many committers a leader gathers, and how the segment store makes space.
 * Condition variables and futexes never wake by themselves here: a spurious wake-up would hide a
 * lost one.
 *
 * Appends without the mutex (TryAppend) load open_, load the buffer's word, exchange it, copy: each
 * is a step, between which all others may run. Opening and closing a buffer is one step, though the
 * engine makes several stores: each thread without the mutex sees either nothing of them or the
 * last, or is refused, and who is refused waits for the mutex, which is free only afterwards.
 *
 * Claimed, in every reachable state:
 *   acknowledged => synced    assert in Acknowledge(): WaitDurable, callbacks, durable_lsn
 *   watermarks                assert in CheckWatermarks(): durable <= written <= appended, each at
 *                             most what the disk has, at every single store
 *   each LSN once             assert in Take(): a reservation gets the LSN behind the last one that
 *                             was reserved, by whatever way; none after a failure was latched
 *   a place stays             assert in CopyDone(): the group that a record was reserved in is there
 *                             until it is copied
 *   none is forgotten         asserts in Wait(), Notify(): an LSN that was given is known, unless cut;
 *                             in Truncate(), Close(): all that was reserved is durable before
 *   one leader                assert in Round()
 *   a whole group is written  assert in WriteGroup(): every record was copied, and follows the last
 *                             one written; the segment before is durable when the next one is begun
 *   no lost wake-up, no hang after a failure, nothing left behind
 *                             every process comes to its end: spin reports any other final state.
 *                             The closer does not begin before all waits have ended, all callbacks
 *                             have run, and full buffers have been written without its help.
 *   Close() loses nothing     assert in Close(), with CLOSE_EARLY as soon as the clients are done:
 *                             all that was accepted, from a callback too, is durable; each callback
 *                             was called
 *   a cut record is gone      assert in AcknowledgeWaiter(): who waits for it when it is cut is
 *                             never told of the record that gets its LSN later
 *   no idle spinning          assert in RunFlusher(): a round that it leads does something
 *
 * Parameters: CLIENTS threads that each append OPS records, and after each wait, ask for a callback,
 * or do neither, at will; ALL_WAIT_DURABLE, or with ROLES one asks, one waits, the others do neither.
 * BUFFERS of CAPACITY records; if that is more than one, each append may try it without the mutex
 * first (a batch never does). CALLBACK_APPENDS: a callback may append, and ask for another one.
 * INTERVAL: flush_interval_micros is set. IO_FAILS: a write or a sync may fail. LATCH: so may the
 * store's thread. DELAY: the leader's sleep in Delay() with its wake-up, which must come before
 * the time is over. SPARES: every group begins a segment, which the store's thread makes, and only
 * when the last one was begun. TRUNCATE: one more thread cuts the log; TRUNCATOR_APPENDS: then it
 * may append and wait.
 * CLOSE_EARLY: see above. BUG_*: one line is broken; spin must find it.
 */
#ifndef CLIENTS
#define CLIENTS 2
#endif
#ifndef OPS
#define OPS 1
#endif
#ifndef BUFFERS
#define BUFFERS 2
#endif
#ifndef CAPACITY
#define CAPACITY 1
#endif

#define FLUSHER CLIENTS
#define CLOSER (CLIENTS + 1)
#define TRUNCATOR (CLIENTS + 2)
#ifdef TRUNCATE
#define THREADS (CLIENTS + 3)
#else
#define THREADS (CLIENTS + 2)
#endif
#define NEVER 100     /* Waiter::kNever */
#define FREE 255
#define SLEEPING 128  /* CopyCount::kSleeping */

mtype = { kParked, kReached, kFailed, kCut, kLead };
mtype = { kWritten, kDurable };
mtype = { kNoBuffer, kNoNextSegment };

byte mutex = FREE;

/* What is on the disk, which the engine cannot see. */
byte disk_written, disk_stable;
bool sync_lost;    /* a failed sync marked its pages clean: a later one says OK for nothing */
bool copied[16];   /* by LSN */

/* The watermarks. */
byte written, durable;
byte closed_lsn;
byte reserved;  /* the last LSN that anybody ever got: what BufferRing::last_lsn() must say */

/* Buffers. */
byte opened, drained;
bool open_set;                /* open_ != nullptr; it is buffer opened - 1 */
byte buffer_first[BUFFERS];
/* GroupBuffer::word_; opened makes an epoch that does not wrap. */
byte buffer_records[BUFFERS], buffer_epoch[BUFFERS];
bool buffer_closed[BUFFERS] = true;
bool buffer_begins[BUFFERS];  /* every other group begins a segment */
byte copies[BUFFERS];         /* CopyCount */
bool copies_asleep[BUFFERS];

/* room_ and flusher_work_. */
bool room_asleep[THREADS];
byte room_waiters;
bool flusher_asleep, flusher_timed;

/* Waiters: a queue of threads, and what is on each one's stack. */
byte queue[THREADS];
byte waiters, durable_waiters;
byte waiter_lsn[THREADS];
mtype waiter_level[THREADS];
mtype waiter_state[THREADS] = kParked;
bool parked_asleep[THREADS];

bool leading, failed, closed, stop_flusher, flusher_done, truncating;
byte leaders;  /* that are really at it */
bool callback[16];  /* callbacks_, by LSN */
byte callbacks, callbacks_front, callbacks_back;
bool callbacks_running;
bool flush_at_set, flush_at_due;
byte clients_done;
bool callback_appended;

#ifdef DELAY
bool gathering, gathered, gather_asleep;  /* gathered_ is the futex word: how often does not count */
#endif

#ifdef SPARES
/* The store: a spare is ready; the one taken last is not begun; how many were taken. */
bool spare, unbegun;
byte generation;
#define AWAITS_BEGIN unbegun
#define BEGINS_SEGMENT (opened > 0)
#define LACKS_SPARE (BEGINS_SEGMENT && !spare)
#else
#define AWAITS_BEGIN false
#define BEGINS_SEGMENT (opened % 2 == 1)
#define LACKS_SPARE false
#endif

#ifdef TRUNCATE
short cut_callbacks;  /* a bit for each LSN */
/* Which records have been appended since the cut, and whether a thread waits for such a one. */
bool after_cut, appended_after_cut[16], waits_after_cut[THREADS];
#define SAME_RECORD(w, lsn) (waits_after_cut[w] == appended_after_cut[lsn])
#define CALLBACKS_CUT (cut_callbacks != 0)
#define KNOWN(lsn) (lsn <= APPENDED || after_cut)
#else
#define SAME_RECORD(w, lsn) true
#define CALLBACKS_CUT false
#define KNOWN(lsn) (lsn <= APPENDED)
#endif

#define OPEN_BUFFER ((opened - 1) % BUFFERS)
#define LAST_OF(b) (buffer_first[b] + buffer_records[b] - 1)
#define APPENDED (open_set -> LAST_OF(OPEN_BUFFER) : closed_lsn)  /* BufferRing::last_lsn() */

#define HAS_FULL_BUFFERS (opened - drained > open_set)
#define CALLBACK_WANTS_SYNC (callbacks > 0 && callbacks_back > durable)
#define FLUSH_DUE (!failed && !closed && \
                   (HAS_FULL_BUFFERS || CALLBACK_WANTS_SYNC || (flush_at_set && flush_at_due)))

inline Lock() { atomic { mutex == FREE -> mutex = _pid } }
inline Unlock() { mutex = FREE }

inline CheckWatermarks() {
  assert(durable <= written && written <= APPENDED);
  assert(written <= disk_written && durable <= disk_stable)
}

inline Acknowledge(lsn) { assert(lsn <= disk_stable) }

inline AcknowledgeWaiter(w, lsn, level) {
  assert(SAME_RECORD(w, lsn));
  if
  :: level == kDurable -> Acknowledge(lsn)
  :: else
  fi
}

/* CondVar::NotifyAll() of room_. */
inline NotifyRoom() {
  i = 0;
  do
  :: i < THREADS -> room_asleep[i] = false; i++
  :: else -> break
  od;
  i = 0
}

inline NotifyFlusher() { flusher_asleep = false; flusher_timed = false }

/* The ends of callbacks_, which is kept by LSN. */
inline FindCallbacks() {
  callbacks_front = 0;
  callbacks_back = 0;
  callbacks = 0;
  i = 1;
  do
  :: i < 16 ->
     if
     :: callback[i] ->
        callbacks++;
        callbacks_back = i;
        if
        :: callbacks_front == 0 -> callbacks_front = i
        :: else
        fi
     :: else
     fi;
     i++
  :: else -> break
  od;
  i = 0
}

/* ---- Copying: CopyCount of waiter.h */

inline CopyDone(b) {  /* EncodeRecord, Done() */
  atomic {
    assert(buffer_first[b] <= lsn && lsn <= LAST_OF(b));
    copied[lsn] = true;
    wake_copy = (copies[b] >= SLEEPING);
    copies[b]++
  };
#ifdef BUG_COPY_DONE_WAKES_NOBODY
  wake_copy = false;
#endif
  if
  :: atomic { wake_copy -> copies_asleep[b] = false; wake_copy = false }  /* FutexWake */
  :: else
  fi
}

/* Open() resets the count; nobody looks at it before. */
inline WaitForCopies(b) {
#ifndef BUG_WRITE_BEFORE_COPY
  if
  :: atomic { copies[b] == buffer_records[b] -> copies[b] = 0 }  /* while it spins */
  :: atomic {
       copies[b] != buffer_records[b] ->
       all_copies = SLEEPING + buffer_records[b];
       copies[b] = copies[b] | SLEEPING;
       now = copies[b]
     };
     do
     :: atomic { now == all_copies -> now = 0; all_copies = 0; copies[b] = 0 }; break
     :: now != all_copies ->
        if  /* FutexWait: sleeps if the word is still `now` */
        :: atomic { copies[b] == now -> copies_asleep[b] = true };
           atomic { !copies_asleep[b] -> now = copies[b] }
        :: atomic { copies[b] != now -> now = copies[b] }
        fi
     od
  fi
#else
  skip
#endif
}

/* ---- Leading */

inline CloseOpen() {
  if
  :: open_set ->
#ifndef BUG_CLOSE_LEAVES_THE_WORD
     buffer_closed[OPEN_BUFFER] = true;
#endif
     closed_lsn = LAST_OF(OPEN_BUFFER);
     open_set = false
  :: else
  fi
}

inline Fail() {
  if
  :: !failed ->
#ifndef BUG_FAIL_LEAVES_THE_BUFFER_OPEN
     CloseOpen();
#endif
     failed = true;
     NotifyRoom();
     NotifyFlusher()
  :: else
  fi
}

inline Advance(to_written, to_durable) {
  written = to_written;
  CheckWatermarks();
  durable = to_durable;
  CheckWatermarks();
  if
  :: durable == written && flush_at_set -> flush_at_set = (drained != opened); flush_at_due = false
  :: else
  fi
}

/* The mutex is free before, and held after. */
inline Sync() {
  if  /* SyncFile */
#ifdef BUG_ACK_BEFORE_SYNC
  :: ok = true
#else
  :: atomic {
       if
       :: !sync_lost -> disk_stable = disk_written
       :: else
       fi;
       ok = true
     }
#endif
#ifdef IO_FAILS
  :: atomic { sync_lost = true; ok = false }
#endif
  fi;
  atomic {
    Lock();
    if
#ifdef BUG_SYNC_RETRIED
    :: !ok && !failed -> skip
#else
    :: !ok -> Fail()
#endif
    :: else
    fi;
    if
    :: failed || !ok -> ok = false
    :: else -> Advance(sync_to, sync_to)
    fi;
    sync_to = 0
  }
}

/* Without the mutex. */
inline WriteGroup(b) {
  WaitForCopies(b);
  if  /* WriteAt */
  :: atomic {
       i = 0;
       do
       :: i < buffer_records[b] -> assert(copied[buffer_first[b] + i]); i++
       :: else -> break
       od;
       i = 0;
       assert(buffer_first[b] == disk_written + 1);
       assert(!buffer_begins[b] || disk_stable == buffer_first[b] - 1);
       disk_written = LAST_OF(b);
       ok = true
     }
#ifdef IO_FAILS
  :: ok = false
#endif
  fi;
#ifdef SPARES
  if
  :: ok && buffer_begins[b] -> unbegun = false  /* Begin() */
  :: else
  fi
#endif
}

/* The mutex is free before, and held after. */
inline Drain(b) {
  WriteGroup(b);
  atomic {
    Lock();
    if
    :: !ok -> Fail()
    :: else
    fi;
    if
    :: failed -> ok = false
    :: else ->
       last = LAST_OF(b);
       buffer_first[b] = 0;
       buffer_records[b] = 0;
       buffer_begins[b] = false;
       drained++;
       if
#ifndef BUG_DRAIN_FORGETS_ROOM
       :: room_waiters > 0 -> NotifyRoom()
#endif
       :: else
       fi;
       Advance(last, was_durable);
       last = 0
    fi;
    was_durable = 0
  }
}

#ifdef BUG_SEGMENT_BEGUN_TOO_EARLY
#define SYNC_FIRST (false)
#else
#define SYNC_FIRST (buffer_begins[b] && durable + 1 < buffer_first[b])
#endif

#ifdef DELAY
/* The mutex is held before and after. */
inline Delay() {
  if
  :: true
  :: gathering = true;
     do
     :: atomic { gathering && !failed -> word = gathered; Unlock() };
        if  /* FutexWaitFor */
        :: atomic { gathered == word -> gather_asleep = true };
           if
           :: !gather_asleep
           :: atomic { timeout -> assert(gathering); gathering = false; gather_asleep = false }
           fi
        :: gathered != word
        fi;
        atomic { Lock(); word = false }
     :: else -> break
     od;
     gathering = false
  fi
}
#else
/* Sleeps for a while without the mutex: as long as it likes. */
inline Delay() {
  if
  :: Unlock(); Lock()
  :: true
  fi
}
#endif

/* The mutex is held before and after. */
inline Round(all, level) {
  atomic {
    leaders++;
    assert(leaders == 1 && leading);
    if
    :: all -> CloseOpen()
    :: else
    fi;
    stop = opened - open_set;
    b = drained % BUFFERS;
    ok = true
  };
  do
  :: atomic {
       ok && !failed && drained != stop && SYNC_FIRST ->
       sync_to = written;
       Unlock()
     };
     Sync()
  :: atomic {
       ok && !failed && drained != stop && !SYNC_FIRST ->
       was_durable = durable;
       Unlock()
     };
     Drain(b);
     b = drained % BUFFERS
  :: atomic {  /* WantsSync */
       ok && !failed && drained == stop && durable != written &&
       (level == kDurable || durable_waiters > 0 || CALLBACK_WANTS_SYNC ||
        (flush_at_set && flush_at_due)) ->
       sync_to = written;
       Unlock()
     };
     Sync();
     break
  :: else -> break
  od;
  atomic { ok = false; b = 0; stop = 0; leaders-- }
}

#if defined(TRUNCATE) && !defined(BUG_TRUNCATION_CUTS_NO_WAITERS)
#define IS_CUT(w) (waiter_lsn[w] != NEVER && waiter_lsn[w] > APPENDED)
#else
#define IS_CUT(w) false
#endif

/* Releases the mutex. */
inline HandOff() {
  atomic {
    next_leader = FREE;
    wake = 0;
    kept = 0;
    i = 0;
    do
    :: i < waiters ->
       w = queue[i];
       if
       :: waiter_lsn[w] != NEVER && ((waiter_level[w] == kDurable && waiter_lsn[w] <= durable) ||
                                     (waiter_level[w] == kWritten && waiter_lsn[w] <= written)) ->
          AcknowledgeWaiter(w, waiter_lsn[w], waiter_level[w]);
          waiter_state[w] = kReached
       :: else ->
          if
          :: failed -> waiter_state[w] = kFailed
          :: !failed && IS_CUT(w) -> waiter_state[w] = kCut
#ifndef BUG_LEAD_IS_DROPPED
          :: !failed && !IS_CUT(w) && next_leader == FREE ->
             waiter_state[w] = kLead;
             next_leader = w
#endif
          :: else
          fi
       fi;
       if
       :: waiter_state[w] == kParked -> queue[kept] = w; kept++
       :: else ->
          if
          :: waiter_level[w] == kDurable -> durable_waiters--
          :: else
          fi;
          waiter_lsn[w] = 0;
          waiter_level[w] = 0;
          if
          :: w != next_leader -> wake = wake | (1 << w)
          :: else
          fi
       fi;
       i++
    :: else -> break
    od;
    do
    :: i > kept -> i--; queue[i] = 0
    :: else -> break
    od;
    waiters = kept;
    i = 0; w = 0; kept = 0;
    leading = (next_leader != FREE);
    if
#ifndef BUG_FLUSHER_IN_CALLBACK
    :: !leading && room_waiters > 0 && HAS_FULL_BUFFERS -> NotifyRoom()
#endif
    :: else
    fi;
    if
    :: (callbacks > 0 && callbacks_front <= durable) ||
       (!leading && (FLUSH_DUE || flush_at_set)) -> NotifyFlusher()
    :: else
    fi;
    Unlock()
  }
  if
  :: next_leader != FREE -> parked_asleep[next_leader] = false  /* FutexWake */
  :: else
  fi;
  atomic {  /* FutexWake of each; their order is all the same to them */
    do
    :: i < THREADS ->
       if
       :: wake & (1 << i) -> parked_asleep[i] = false
       :: else
       fi;
       i++
    :: else -> break
    od;
    i = 0; wake = 0; next_leader = 0
  }
}

/* ---- Appending. lsn becomes 0 if the append is refused. */

/* The mutex is held before and after. */
inline AwaitDrain(me) {
  atomic { room_waiters++; room_asleep[me] = true; Unlock() };
  atomic { !room_asleep[me]; Lock(); room_waiters-- }  /* room_.Wait */
}

#ifdef BUG_WAITS_FOR_A_SPARE_IN_VAIN
#define MUST_AWAIT_DRAIN (lacking == kNoBuffer)
#else
#define MUST_AWAIT_DRAIN (lacking == kNoBuffer || (leading && AWAITS_BEGIN))
#endif

/* The mutex is held before and after. */
inline MakeRoom(me) {
  if
  :: atomic { !leading && !truncating && HAS_FULL_BUFFERS -> leading = true };
     Round(false, kWritten);
     HandOff();
     Lock()
  :: else ->
     if
     :: MUST_AWAIT_DRAIN -> AwaitDrain(me)
#ifdef SPARES
     :: atomic { else -> current = generation; Unlock() };  /* WaitForSpare */
        spare || generation != current;
        atomic { Lock(); current = 0 }
#endif
     fi
  fi;
  lacking = 0
}

inline OpenNext() {
  if
  :: opened - drained == BUFFERS -> lacking = kNoBuffer
  :: opened - drained < BUFFERS && LACKS_SPARE -> lacking = kNoNextSegment
  :: else ->
     to = opened % BUFFERS;
     buffer_first[to] = closed_lsn + 1;
     buffer_records[to] = 0;
     buffer_closed[to] = false;
     buffer_begins[to] = BEGINS_SEGMENT;
#ifdef SPARES
     if  /* TakeSpare */
     :: BEGINS_SEGMENT -> spare = false; unbegun = true; generation++
     :: else
     fi;
#endif
     opened++;
     buffer_epoch[to] = opened;
     open_set = true;
#ifdef INTERVAL
     if
     :: !flush_at_set -> flush_at_set = true; flush_at_due = false; NotifyFlusher()
     :: else
     fi
#endif
  fi
}

/* The place and LSN behind the last one in the buffer, which is not closed. */
inline Take(b, first) {
  lsn = first + buffer_records[b];
  buffer_records[b]++;
  assert(lsn == reserved + 1 && !failed);
  reserved = lsn;
#ifdef TRUNCATE
  appended_after_cut[lsn] = after_cut
#endif
}

#ifdef BUG_NO_EPOCH
#define SAME_WORD(b) (!buffer_closed[b] && buffer_records[b] == saw_records)
#define FIRST_OF(b) saw_first
#else
#define SAME_WORD(b) \
  (!buffer_closed[b] && buffer_records[b] == saw_records && buffer_epoch[b] == saw_epoch)
#define FIRST_OF(b) buffer_first[b]
#endif

/* Without the mutex, GroupBuffer::TryReserve() in it. */
inline TryAppend() {
  if
  :: atomic { open_set -> to = OPEN_BUFFER };
     do
     :: atomic { buffer_closed[to] || buffer_records[to] == CAPACITY -> to = 0 }; break
     :: atomic {
          !buffer_closed[to] && buffer_records[to] < CAPACITY ->
#ifdef BUG_NO_EPOCH
          saw_first = buffer_first[to];
#endif
          saw_records = buffer_records[to];
          saw_epoch = buffer_epoch[to]
        };
        if  /* compare_exchange_weak */
        :: atomic { SAME_WORD(to) -> Take(to, FIRST_OF(to)); saw_records = 0; saw_epoch = 0 }; break
        :: atomic { !SAME_WORD(to) -> saw_records = 0; saw_epoch = 0 }
        fi
     od
  :: true
  fi
}

#ifdef BUG_APPENDS_WHILE_TRUNCATING
#define REFUSES false
#else
#define REFUSES truncating
#endif

inline Reserve() {
  if
  :: REFUSES -> lacking = kNoBuffer
  :: else ->
     if
     :: open_set && buffer_records[OPEN_BUFFER] == CAPACITY ->
        CloseOpen();
        if
        :: !leading -> NotifyFlusher()
        :: else
        fi
     :: else
     fi;
     if
     :: !open_set -> OpenNext()
     :: else
     fi;
     if
     :: open_set -> to = OPEN_BUFFER; Take(to, buffer_first[to])
     :: else
     fi
  fi
}

inline Append(me) {
  lsn = 0;
#if CAPACITY > 1
  TryAppend();
#endif
  if
  :: lsn == 0 ->
     Lock();
     do
     :: atomic { failed || closed -> Unlock() }; break
     :: atomic {
          else ->
          Reserve();
          if
          :: lsn != 0 -> Unlock()
          :: else
          fi
        };
        if
        :: lsn != 0 -> break
        :: else -> MakeRoom(me)
        fi
     od
  :: else
  fi;
  if
  :: lsn != 0 -> CopyDone(to); to = 0
  :: else
  fi
}

/* ---- Waiting */

#define REACHED(lsn, level) ((level == kDurable && lsn <= durable) || \
                             (level == kWritten && lsn <= written))

/* Waiter::Park() */
inline Park(me) {
  do
  :: waiter_state[me] != kParked -> break
  :: atomic { waiter_state[me] == kParked -> parked_asleep[me] = true };  /* FutexWait */
     !parked_asleep[me]
  od
}

/* Releases the mutex. */
inline AwaitTurn(me, l, level) {
  if
#ifdef BUG_TWO_LEADERS
  :: atomic { true -> leading = true; waiter_state[me] = kLead; Unlock() }
#else
  :: atomic { !leading -> leading = true; waiter_state[me] = kLead; Unlock() }
#endif
  :: atomic {
       else ->
       waiter_state[me] = kParked;
       waiter_lsn[me] = l;
       waiter_level[me] = level;
       queue[waiters] = me;
       waiters++;
       if
       :: level == kDurable -> durable_waiters++
       :: else
       fi;
#ifdef DELAY
       if  /* how many make it complete does not matter here */
       :: gathering -> gathering = false; gathered = !gathered; complete = true
       :: true
       fi;
#endif
       Unlock()
     };
#ifdef DELAY
     if
#ifndef BUG_GATHER_WAKES_NOBODY
     :: atomic { complete -> complete = false; gather_asleep = false }  /* FutexWake */
#endif
     :: else -> complete = false
     fi;
#endif
     Park(me)
  fi
}

/* The mutex is held before and after. */
inline TakeLead(me) {
  if
  :: atomic { failed || closed -> taken = false }
  :: else ->
     AwaitTurn(me, NEVER, kDurable);
     atomic {
       Lock();
       taken = (waiter_state[me] == kLead);
       waiter_state[me] = kParked;
       assert(taken || failed)
     }
  fi
}

inline Wait(me, level) {
  atomic {
    Lock();
    assert(KNOWN(lsn));
#ifdef TRUNCATE
    waits_after_cut[me] = appended_after_cut[lsn]
#endif
  };
  do
#ifdef TRUNCATE
  :: atomic { lsn > APPENDED -> Unlock() }; break  /* OutOfRange */
#endif
  :: atomic { REACHED(lsn, level) -> AcknowledgeWaiter(me, lsn, level); Unlock() }; break
  :: atomic { lsn <= APPENDED && !REACHED(lsn, level) && (failed || closed) -> Unlock() }; break
  :: atomic { lsn <= APPENDED && !REACHED(lsn, level) && !failed && !closed };
     AwaitTurn(me, lsn, level);
     if
     :: atomic {
          waiter_state[me] == kReached || waiter_state[me] == kCut -> waiter_state[me] = kParked
        };
        break
     :: atomic { waiter_state[me] == kLead -> waiter_state[me] = kParked; Lock() };
        if
        :: level == kDurable -> Delay()
        :: else
        fi;
        Round(true, level);
#ifndef BUG_LEADER_DECIDES_TOO_LATE
        atomic {
          reached = REACHED(lsn, level);
          if
          :: reached -> AcknowledgeWaiter(me, lsn, level)
          :: else
          fi
        };
#endif
        HandOff();
        if
        :: atomic { reached -> reached = false }; break
        :: else -> Lock()
        fi
     :: atomic { waiter_state[me] == kFailed -> waiter_state[me] = kParked; Lock() }
     fi
  od
}

/* Notify(), for the caller's own record. */
inline Notify() {
  atomic {
    Lock();
    assert(KNOWN(lsn));
    if
    :: lsn > APPENDED || closed
    :: else -> callback[lsn] = true; FindCallbacks(); NotifyFlusher()
    fi;
    Unlock()
  }
}

#ifdef TRUNCATE
inline CutCallbacks() {
  i = cut + 1;
  do
  :: i < 16 ->
     if
     :: callback[i] -> callback[i] = false; cut_callbacks = cut_callbacks | (1 << i)
     :: else
     fi;
     i++
  :: else -> break
  od;
  FindCallbacks();
  NotifyFlusher()
}

/* After `cut`. */
inline Truncate(me) {
  Lock();
  TakeLead(me);
  if
  :: !taken -> Unlock()
  :: else ->
     truncating = true;
     Round(true, kDurable);
     if
     :: atomic {
          !failed && cut < APPENDED ->
          assert(durable == reserved);
          Unlock()
        };
        if  /* SegmentStore::Truncate */
        :: ok = true
#ifdef IO_FAILS
        :: ok = false
#endif
        fi;
        atomic {
          Lock();
          if
          :: ok ->
             /* On the disk this was so before: nobody minds who was told otherwise meanwhile. */
             disk_written = cut;
             disk_stable = cut;
             durable = cut;
             written = cut;
             i = cut + 1;
             do
             :: i <= reserved -> copied[i] = false; i++
             :: else -> break
             od;
             closed_lsn = cut;
             reserved = cut;
             after_cut = true;
#ifndef BUG_TRUNCATION_LEAVES_CALLBACKS
             CutCallbacks();
#endif
             i = 0
          :: else
          fi;
          ok = false
        }
     :: else
     fi;
     atomic {
       truncating = false;
#ifndef BUG_TRUNCATION_FORGETS_ROOM
       NotifyRoom()
#endif
     };
     HandOff()
  fi;
  taken = false
}
#endif

/* Latch(), called by the store. */
inline Latch() {
  Lock();
  if
  :: atomic { leading -> Fail(); Unlock() }  /* the leader sees it and tells the waiters */
  :: atomic { !leading -> Fail() }; HandOff()
  fi
}

/* ---- The threads. What each client may do after an append, and variables of the inlines, first. */

#if defined(ALL_WAIT_DURABLE)
#define MAY_WAIT_DURABLE(me) true
#define MAY_WAIT_WRITTEN(me) false
#define MAY_NOTIFY(me) false
#define MAY_GO_ON(me) false
#elif defined(ROLES)
#define MAY_WAIT_DURABLE(me) (me == 1)
#define MAY_WAIT_WRITTEN(me) false
#define MAY_NOTIFY(me) (me == 0)
#define MAY_GO_ON(me) (me > 1)
#else
#define MAY_WAIT_DURABLE(me) true
#define MAY_WAIT_WRITTEN(me) true
#define MAY_NOTIFY(me) true
#define MAY_GO_ON(me) true
#endif

#define LOCALS                                                                          \
  byte lsn, to, stop, b, i, last, was_durable, sync_to, w, kept, wake, next_leader, now, \
      all_copies;                                                                       \
  mtype lacking;                                                                        \
  bool ok, wake_copy, taken, reached                                                    \
  LOCALS_OF_TRY LOCALS_OF_DELAY LOCALS_OF_SPARES

#if CAPACITY > 1
#define LOCALS_OF_TRY ; byte saw_records, saw_epoch, saw_first
#else
#define LOCALS_OF_TRY
#endif
#ifdef DELAY
#define LOCALS_OF_DELAY ; bool word, complete
#else
#define LOCALS_OF_DELAY
#endif
#ifdef SPARES
#define LOCALS_OF_SPARES ; byte current
#else
#define LOCALS_OF_SPARES
#endif

proctype Client(byte me) {
  LOCALS;
  byte op = 0;
  do
  :: op < OPS ->
     op++;
     Append(me);
     if
     :: lsn == 0 -> assert(failed)
     :: lsn != 0 && MAY_WAIT_DURABLE(me) -> Wait(me, kDurable)
     :: lsn != 0 && MAY_WAIT_WRITTEN(me) -> Wait(me, kWritten)
     :: lsn != 0 && MAY_NOTIFY(me) -> Notify()
     :: lsn != 0 && MAY_GO_ON(me)
     fi;
     lsn = 0
  :: else -> break
  od;
  clients_done++
}

/* Calls those in `due`. */
inline CallDue() {
#ifdef CALLBACK_APPENDS
  if
  :: atomic { !callback_appended -> callback_appended = true };
     Append(FLUSHER);
     if
     :: lsn != 0 -> Notify()
     :: else
     fi;
     lsn = 0
  :: else
  fi;
#endif
  due = 0
}

/* The mutex is held before and after. What is due is in `due`, by LSN. */
inline RunCallbacks() {
  atomic {
    i = 1;
    do
    :: i < 16 ->
       if
       :: callback[i] && i <= durable -> Acknowledge(i)
       :: else
       fi;
       if
       :: callback[i] && (failed || i <= durable) -> callback[i] = false; due = due | (1 << i)
       :: else
       fi;
       i++
    :: else -> break
    od;
    i = 0;
    FindCallbacks();
#ifdef TRUNCATE
    due = due | cut_callbacks;
    cut_callbacks = 0;
#endif
    if
    :: due != 0 -> callbacks_running = true; Unlock()
    :: else
    fi
  };
  if
  :: due != 0 ->
     CallDue();
     atomic { Lock(); callbacks_running = false; ran = true }
  :: else
  fi
}

proctype RunFlusher() {
  LOCALS;
  short due;
  byte was_drained, was_synced;
  bool ran, all;
  Lock();
  do
  :: atomic { stop_flusher -> Unlock() }; break
  :: else ->
     RunCallbacks();
     if
     :: ran -> ran = false
     :: atomic {
          !ran && !leading && FLUSH_DUE ->
          leading = true;
          all = (callbacks > 0 || (flush_at_set && flush_at_due));
          was_drained = drained;
          was_synced = durable
        };
        Round(all, kWritten);
        atomic {
          assert(failed || was_drained != drained || was_synced != durable);
          was_drained = 0;
          was_synced = 0;
          all = false
        };
        HandOff();
        Lock()
     :: atomic {
          !ran && !(!leading && FLUSH_DUE) ->
          flusher_asleep = true;
          flusher_timed = (flush_at_set && !leading && !failed);
          if
          :: flusher_timed && flush_at_due -> flusher_asleep = false; flusher_timed = false
          :: else
          fi;
          Unlock()
        };
        !flusher_asleep;
        Lock()
     fi
  od;
  Lock();
  do
  :: RunCallbacks();
     if
     :: ran -> ran = false
     :: else -> break
     fi
  od;
  atomic { flusher_done = true; Unlock() }
}

#ifdef INTERVAL
/* Time passes, at any pace. */
proctype Clock() {
  do
  :: atomic {
       flush_at_set && !flush_at_due ->
       flush_at_due = true;
       if
       :: flusher_timed -> NotifyFlusher()
       :: else
       fi
     }
  :: stop_flusher -> break
  od
}
#endif

#ifdef LATCH
proctype Store() {
  LOCALS;
  if
  :: Latch()
  :: skip
  fi
}
#endif

#ifdef SPARES
/* SegmentStore::Run, making spares. */
proctype MakeSpares() {
  do
  :: atomic { !spare && !unbegun -> spare = true }
  :: stop_flusher -> break
  od
}
#endif

#ifdef TRUNCATE
proctype Truncator() {
  LOCALS;
  byte cut;
  if
  :: cut = 0
  :: cut = 1
  fi;
  Truncate(TRUNCATOR);
  if
  :: true
#ifdef TRUNCATOR_APPENDS
  :: Append(TRUNCATOR);
     if
     :: lsn == 0 -> assert(failed)
     :: else -> Wait(TRUNCATOR, kDurable)
     fi;
     lsn = 0
#endif
  fi;
  clients_done++
}
#define DONE (clients_done == CLIENTS + 1)
#else
#define DONE (clients_done == CLIENTS)
#endif

#ifdef INTERVAL
#define FLUSHED (durable == reserved)
#else
#define FLUSHED true
#endif
/* No other call may run beside Close(), but callbacks do. When all is quiet, nothing may be left to
 * do that was promised without it. */
#ifdef CLOSE_EARLY
#define MAY_CLOSE DONE
#else
#define MAY_CLOSE (DONE && callbacks == 0 && !CALLBACKS_CUT && !callbacks_running && \
                   (failed || (!HAS_FULL_BUFFERS && FLUSHED)))
#endif

proctype Close() {
  LOCALS;
  MAY_CLOSE;
  Lock();
  TakeLead(CLOSER);
  if
  :: taken ->
#ifndef BUG_CLOSED_AFTER_THE_LAST_ROUND
     closed = true;
#endif
     Round(true, kDurable);
     HandOff();
     Lock()
  :: else
  fi;
  atomic { closed = true; stop_flusher = true; NotifyRoom(); NotifyFlusher(); Unlock() };
  flusher_done;  /* flusher_.join() */
  assert(failed || (durable == reserved && disk_stable == reserved));
  assert(callbacks == 0 && !CALLBACKS_CUT)
}

init {
  byte n;
  atomic {
    do
    :: n < CLIENTS -> run Client(n); n++
    :: else -> break
    od;
    run RunFlusher();
    run Close();
#ifdef INTERVAL
    run Clock();
#endif
#ifdef LATCH
    run Store();
#endif
#ifdef SPARES
    run MakeSpares();
#endif
#ifdef TRUNCATE
    run Truncator();
#endif
  }
}
