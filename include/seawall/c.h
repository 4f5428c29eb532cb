/* SPDX-License-Identifier: Apache-2.0 */
/* Seawall's C interface: the log of seawall/log.h for C and for what calls C. Plain C99.
 *
 *   seawall_error* error = NULL;
 *   seawall_log* log = NULL;
 *   uint64_t lsn = 0;
 *   if (seawall_log_open("/var/lib/app/log", NULL, &log, &error) != SEAWALL_OK ||
 *       seawall_log_append(log, "hello", 5, SEAWALL_DURABLE, &lsn, &error) != SEAWALL_OK) {
 *     fprintf(stderr, "%s\n", seawall_error_message(error));
 *     seawall_error_free(error);
 *   }
 *   seawall_log_free(log);
 *
 * What is promised about records, crashes and errors is what seawall/log.h says of the function of
 * the same name; here is what C adds.
 *
 * Errors. A function that can fail returns its code, SEAWALL_OK (0) or another one, and takes
 * `error`, which may be NULL. Otherwise `*error` is written each time: NULL on success, and on
 * failure a new object with code and message, the caller's to give to seawall_error_free(). (What
 * `*error` held before is not freed.) No C++ exception leaves the library: memory that is missing
 * for buffers, batches, copies of records and readers is SEAWALL_RESOURCE_EXHAUSTED. When there is
 * none even for a file's name or for what a thread of the log does, the process ends, as after a
 * crash: Abseil and the log's threads do without a way to report it.
 *
 * NULL. A handle or a required pointer that is NULL is SEAWALL_INVALID_ARGUMENT and the message
 * names it; functions that return no code return 0 or NULL for it, and freeing NULL does nothing.
 * A pointer to bytes may be NULL if their number is 0. Where an output may be NULL, it says so.
 *
 * Memory. What the library hands out belongs to it unless it says otherwise; what it is given is
 * copied before the call returns, and is not kept.
 *
 * Threads. Any number of threads use one seawall_log at once; one at a time uses a seawall_reader.
 * Nothing may run beside, or follow, the `free` of the same object.
 *
 * Binary compatibility. Functions, codes and constants keep their meaning and numbers. A struct
 * that begins with `struct_bytes` grows at its end only: the caller says how long it knows it to
 * be, and gets, or gives, no more than that; bytes that the library does not know must be 0 in
 * what it is given, and are set to 0 in what it fills. All others never change. A change that
 * breaks this changes SEAWALL_ABI_VERSION, and the number in the name libseawall.so.N.
 */
#ifndef SEAWALL_C_H_
#define SEAWALL_C_H_

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SEAWALL_VERSION_MAJOR 0
#define SEAWALL_VERSION_MINOR 1
#define SEAWALL_VERSION_PATCH 0
#define SEAWALL_ABI_VERSION 1

/* The version of the library that is running, as "0.1.0": a constant. */
const char* seawall_version(void);
/* SEAWALL_ABI_VERSION of the library that is running; that of the header must be the same. */
uint32_t seawall_abi_version(void);

/* ---- Errors */

/* absl::StatusCode's numbers. What each means is said at the functions of seawall/log.h. */
typedef int32_t seawall_code;
enum {
  SEAWALL_OK = 0,
  SEAWALL_CANCELLED = 1,
  SEAWALL_UNKNOWN = 2,
  SEAWALL_INVALID_ARGUMENT = 3,
  SEAWALL_DEADLINE_EXCEEDED = 4,
  SEAWALL_NOT_FOUND = 5,
  SEAWALL_ALREADY_EXISTS = 6,
  SEAWALL_PERMISSION_DENIED = 7,
  SEAWALL_RESOURCE_EXHAUSTED = 8,
  SEAWALL_FAILED_PRECONDITION = 9,
  SEAWALL_ABORTED = 10,
  SEAWALL_OUT_OF_RANGE = 11,
  SEAWALL_UNIMPLEMENTED = 12,
  SEAWALL_INTERNAL = 13,
  SEAWALL_UNAVAILABLE = 14,
  SEAWALL_DATA_LOSS = 15,
  SEAWALL_UNAUTHENTICATED = 16
};

/* "DATA_LOSS" for SEAWALL_DATA_LOSS; "UNKNOWN" for a number that is none of the above. A constant.
 */
const char* seawall_code_name(seawall_code code);

/* seawall::ErrorClass: what to do about an error. */
enum {
  SEAWALL_CLASS_NONE = 0,    /* SEAWALL_OK */
  SEAWALL_CLASS_REFUSED = 1, /* nothing happened: the same call may be tried again */
  SEAWALL_CLASS_LIMIT = 2,   /* nothing happened, and trying again alone does not help */
  SEAWALL_CLASS_LATCHED = 3, /* the log has failed: free it, open it again, see what it holds */
  SEAWALL_CLASS_DAMAGE = 4   /* what is on disk is not what was written */
};

/* seawall::ErrorClassOf: the class of a code that a function returned or a callback got.
 * SEAWALL_ABORTED is what every latched failure has, and no other error of a log. After a failed
 * seawall_log_close() the log is closed. */
int32_t seawall_error_class(seawall_code code);

typedef struct seawall_error seawall_error;

/* SEAWALL_OK for NULL. */
seawall_code seawall_error_code(const seawall_error* error);
/* Path, offset, expected, found, as the error has them; ends with a 0 byte. "" for NULL. Valid
 * until the error is freed. */
const char* seawall_error_message(const seawall_error* error);
void seawall_error_free(seawall_error* error);

/* ---- Opening and closing */

typedef struct seawall_log seawall_log;

/* How far a record has come, after the layer that holds it (seawall/types.h). */
typedef int32_t seawall_durability;
enum {
  SEAWALL_APPENDED = 0, /* a buffer of this process: a killed process loses it */
  SEAWALL_WRITTEN = 1,  /* the kernel: a power loss loses it */
  SEAWALL_DURABLE = 2   /* stable storage */
};

enum { /* seawall_options.when_full */
       SEAWALL_WHEN_FULL_WAIT = 0,
       SEAWALL_WHEN_FULL_FAIL = 1
};

enum { /* seawall_options.sync_method */
       SEAWALL_SYNC_FDATASYNC = 0,
       SEAWALL_SYNC_FSYNC = 1,
       SEAWALL_SYNC_O_DSYNC = 2,
       SEAWALL_SYNC_O_SYNC = 3
};

/* seawall::Options, each field as it says. */
typedef struct seawall_options {
  uint32_t struct_bytes;      /* sizeof(seawall_options) */
  uint32_t create_if_missing; /* 0 or 1 */
  uint64_t segment_bytes;
  uint64_t buffer_bytes;
  uint32_t buffer_count;
  uint32_t when_full;
  uint64_t max_record_bytes;
  uint32_t sync_method;
  uint32_t direct_io; /* 0 or 1 */
  uint64_t flush_interval_micros;
  uint32_t group_alignment_bytes;
  uint32_t max_recycled_segments;
  uint32_t cursors;  /* 0 or 1 */
  uint32_t reserved; /* 0 */
  /* 32 hexadecimal digits, as of seawall_log_id(); NULL: whichever log is there. */
  const char* expected_id;
  const void* metadata; /* may be NULL if there are no bytes of it */
  uint64_t metadata_bytes;
} seawall_options;

/* Sets all to the defaults, and `struct_bytes` to the second argument:
 *   seawall_options options;
 *   seawall_options_init(&options, sizeof(options));
 * It writes `struct_bytes` bytes; does nothing for NULL or a size that cannot be. */
void seawall_options_init(seawall_options* options, size_t struct_bytes);

/* Log::Open. `options` NULL: the defaults. On success `*log` is the caller's, to be freed with
 * seawall_log_free(); on failure it is NULL. */
seawall_code seawall_log_open(const char* directory, const seawall_options* options,
                              seawall_log** log, seawall_error** error);

/* Log::Close: makes all that was appended durable, runs all callbacks, marks the log as cleanly
 * closed, and gives the lock up. The handle stays, for seawall_log_free(). Must be the last call:
 * no other may be running. What follows it gets SEAWALL_FAILED_PRECONDITION. */
seawall_code seawall_log_close(seawall_log* log, seawall_error** error);

/* Closes, if that was not done (an error is lost then), and frees. Readers of the log may be freed
 * before or after it; after it they are good for nothing else. */
void seawall_log_free(seawall_log* log);

enum { /* seawall_recovery_report.verdict */
       SEAWALL_RECOVERY_CREATED = 0,
       SEAWALL_RECOVERY_CLEAN = 1,
       SEAWALL_RECOVERY_UNCLOSED = 2,
       SEAWALL_RECOVERY_TORN_TAIL = 3
};

/* seawall::RecoveryReport, each field as it says. */
typedef struct seawall_recovery_report {
  uint32_t struct_bytes; /* sizeof(seawall_recovery_report), set by the caller */
  uint32_t verdict;
  uint64_t first_lsn;
  uint64_t last_lsn;
  uint64_t proven_durable_lsn;
  uint64_t segments;
  uint64_t scanned_bytes;
  uint64_t scanned_records;
  uint64_t copied_records;
  uint64_t discarded_bytes;
  uint64_t torn_offset;
  uint64_t elapsed_micros;
  const char* torn_path; /* "" if nothing was torn; valid as long as the log */
} seawall_recovery_report;

/* What opening found. The caller sets `report->struct_bytes` before. */
seawall_code seawall_log_recovery_report(const seawall_log* log, seawall_recovery_report* report,
                                         seawall_error** error);
/* The same as one line for people. Valid as long as the log. */
const char* seawall_log_recovery_text(const seawall_log* log);

/* Log::id: which log this is, as 32 hexadecimal digits. Valid as long as the log; NULL for NULL. */
const char* seawall_log_id(const seawall_log* log);

/* Log::metadata. Writes `capacity` bytes of it at most to `data`, and how many there are, 256 at
 * most, to `*bytes`. */
seawall_code seawall_log_metadata(const seawall_log* log, void* data, size_t capacity,
                                  size_t* bytes, seawall_error** error);
/* Log::SetMetadata: durable when it returns. */
seawall_code seawall_log_set_metadata(seawall_log* log, const void* data, size_t bytes,
                                      seawall_error** error);

/* ---- Writing */

/* Log::Append: appends one record of `bytes` bytes, returns when it has come as far as `until`.
 * `*lsn` is its number; `lsn` may be NULL. With an error that came after the record was accepted
 * (waiting failed) it is 0, too. */
seawall_code seawall_log_append(seawall_log* log, const void* data, size_t bytes,
                                seawall_durability until, uint64_t* lsn, seawall_error** error);

/* Bytes of the caller. Never changes. */
typedef struct seawall_slice {
  const void* data;
  size_t bytes;
} seawall_slice;

/* Log::AppendBatch: `count` records, all or none after a crash. `first` and `last` may be NULL. */
seawall_code seawall_log_append_batch(seawall_log* log, const seawall_slice* records, size_t count,
                                      seawall_durability until, uint64_t* first, uint64_t* last,
                                      seawall_error** error);

/* Log::Wait: returns when all records up to `lsn` have come as far as `level`. */
seawall_code seawall_log_wait(seawall_log* log, uint64_t lsn, seawall_durability level,
                              seawall_error** error);

/* `code` and `message` are those of an error, or SEAWALL_OK and "". `message` is valid during the
 * call. It must return: neither throw nor longjmp. */
typedef void (*seawall_durable_callback)(void* context, seawall_code code, const char* message);

/* Log::NotifyDurable: calls `callback` once, on a thread of the log, in the order that log.h
 * states; with SEAWALL_OK when all records up to `lsn` are durable, or with what prevents it. It
 * may append and notify, must not block for long, and must not close or free the log. `context` is
 * handed on as it is, and must be valid until then; seawall_log_close() and seawall_log_free()
 * return when all callbacks have run. If this function returns an error, the callback is never
 * called. */
seawall_code seawall_log_notify_durable(seawall_log* log, uint64_t lsn,
                                        seawall_durable_callback callback, void* context,
                                        seawall_error** error);

/* The watermarks: Log::first_lsn() and so on. 0 for NULL. */
uint64_t seawall_log_first_lsn(const seawall_log* log);
uint64_t seawall_log_appended_lsn(const seawall_log* log);
uint64_t seawall_log_written_lsn(const seawall_log* log);
uint64_t seawall_log_durable_lsn(const seawall_log* log);

/* Log::TrimBefore: gives up the records below `lsn`. */
seawall_code seawall_log_trim_before(seawall_log* log, uint64_t lsn, seawall_error** error);
/* Log::TruncateAfter: gives up the records above `lsn`. No append may run at the same time. */
seawall_code seawall_log_truncate_after(seawall_log* log, uint64_t lsn, seawall_error** error);

/* Log::Reset: gives up all records; the next one appended gets `first_lsn`. No append may run at
 * the same time. */
seawall_code seawall_log_reset(seawall_log* log, uint64_t first_lsn, seawall_error** error);

/* seawall::Stats, each field as it says. */
typedef struct seawall_stats {
  uint32_t struct_bytes; /* sizeof(seawall_stats), set by the caller */
  uint32_t reserved;     /* 0 */
  uint64_t first_lsn;
  uint64_t appended_lsn;
  uint64_t written_lsn;
  uint64_t durable_lsn;
  uint64_t appended_records;
  uint64_t appended_payload_bytes;
  uint64_t groups_written;
  uint64_t bytes_written;
  uint64_t zero_bytes_written;
  uint64_t syncs;
  uint64_t rollovers;
  uint64_t rollover_waits;
  uint64_t space_waits;
  uint64_t buffer_full_waits;
  uint64_t segments;
  uint64_t segments_created;
  uint64_t segments_recycled;
  uint64_t segments_unlinked;
  uint64_t waiters;
} seawall_stats;

/* Log::stats(). The caller sets `stats->struct_bytes` before. */
seawall_code seawall_log_stats(const seawall_log* log, seawall_stats* stats, seawall_error** error);

/* ---- Reading */

/* Log::Read: the payload of one record. `*payload` is the caller's, to be freed with
 * seawall_free(), and has a 0 byte behind its `*bytes` bytes; NULL after an error. */
seawall_code seawall_log_read(seawall_log* log, uint64_t lsn, void** payload, size_t* bytes,
                              seawall_error** error);
/* Frees what seawall_log_read() gave. */
void seawall_free(void* payload);

typedef struct seawall_reader seawall_reader;

/* What a reader of an open log may see (seawall::ReadLimit). */
typedef int32_t seawall_read_limit;
enum {
  SEAWALL_READ_DURABLE = 0, /* records that no crash can take back */
  SEAWALL_READ_WRITTEN = 1  /* also records that a power loss may still take back */
};

/* Log::NewReader: a reader that begins at `from`. `*reader` is the caller's, to be freed with
 * seawall_reader_free(); NULL after an error. */
seawall_code seawall_log_new_reader(seawall_log* log, uint64_t from, seawall_read_limit limit,
                                    seawall_reader** reader, seawall_error** error);

/* Reader::OpenReadOnly: for a log that this process does not write. `from` 0: the first retained
 * record. It ends where the log ended when it was opened. `*reader` as above. */
seawall_code seawall_reader_open_read_only(const char* directory, uint64_t from,
                                           seawall_reader** reader, seawall_error** error);

/* The same for the log of this id alone (32 hexadecimal digits; NULL: any log):
 * SEAWALL_FAILED_PRECONDITION if another one is there. */
seawall_code seawall_reader_open_expected(const char* directory, const char* expected_id,
                                          uint64_t from, seawall_reader** reader,
                                          seawall_error** error);

/* seawall::Record. */
typedef struct seawall_record {
  uint32_t struct_bytes;    /* sizeof(seawall_record), set by the caller before the first call */
  uint32_t batch_continues; /* 1 for all but the last record of an atomic batch */
  uint64_t lsn;
  const void* payload; /* valid until the reader is used again or freed; no 0 byte behind it */
  size_t payload_bytes;
  int64_t sealed_unix_micros;
} seawall_record;

/* Reader::Next: 1 and the record in `*record`; 0 at the end of what may be read, where a later call
 * may find more; -1 after an error, for good but for SEAWALL_RESOURCE_EXHAUSTED, after which the
 * next call tries again: see seawall_reader_status(). -1, too, for NULL and for a `struct_bytes`
 * that was not set, until the arguments are right. */
int32_t seawall_reader_next(seawall_reader* reader, seawall_record* record);

/* SEAWALL_OK at the end of what may be read; otherwise the error that seawall_reader_next() met. */
seawall_code seawall_reader_status(const seawall_reader* reader, seawall_error** error);

/* The LSN that seawall_reader_next() would return. 0 for NULL. */
uint64_t seawall_reader_next_lsn(const seawall_reader* reader);

/* Reader::log_id: which log it reads, as seawall_log_id() says it. Valid as long as the reader;
 * NULL for NULL. */
const char* seawall_reader_log_id(const seawall_reader* reader);

/* Reader::metadata: the log's when the reader was opened, or sought last; as
 * seawall_log_metadata(). */
seawall_code seawall_reader_metadata(const seawall_reader* reader, void* data, size_t capacity,
                                     size_t* bytes, seawall_error** error);

/* Goes on at `from`, forgetting an error that was met, as a new reader with the same arguments
 * would: one that was opened read only sees what is in the log now, and gets
 * SEAWALL_FAILED_PRECONDITION if another log has come into its place. After an error the reader is
 * as it was. */
seawall_code seawall_reader_seek(seawall_reader* reader, uint64_t from, seawall_error** error);

/* Reader::Wait: returns SEAWALL_OK when seawall_reader_next() has a record;
 * SEAWALL_DEADLINE_EXCEEDED when none came within `timeout_micros` (below 0: however long it
 * takes), SEAWALL_CANCELLED after seawall_reader_cancel(). Not for a reader that was opened read
 * only. */
seawall_code seawall_reader_wait(seawall_reader* reader, int64_t timeout_micros,
                                 seawall_error** error);
/* Reader::Cancel: ends a wait under way and all later ones, also after a seek. From any thread,
 * while another one uses the reader, but not beside its free. */
void seawall_reader_cancel(seawall_reader* reader);

void seawall_reader_free(seawall_reader* reader);

/* ---- Cursors: durable positions of consumers (seawall/cursor.h), for logs opened with
 * seawall_options.cursors. Any number of threads use one at once. */

typedef struct seawall_cursor seawall_cursor;

/* Log::OpenCursor. `name` ends with a 0 byte. `*cursor` is the caller's, to be freed with
 * seawall_cursor_free(); NULL after an error. It may be freed before or after the log. */
seawall_code seawall_log_open_cursor(seawall_log* log, const char* name, seawall_cursor** cursor,
                                     seawall_error** error);
/* Log::DropCursor: removes the cursor of this name from the log. */
seawall_code seawall_log_drop_cursor(seawall_log* log, const char* name, seawall_error** error);

/* Cursor::position: the last record that was consumed. 0 for NULL. */
uint64_t seawall_cursor_position(const seawall_cursor* cursor);
/* Cursor::Advance: moves the position forward to `lsn`; with SEAWALL_DURABLE it survives every
 * crash when this returns. */
seawall_code seawall_cursor_advance(seawall_cursor* cursor, uint64_t lsn, seawall_durability until,
                                    seawall_error** error);
/* The position stays in the log. */
void seawall_cursor_free(seawall_cursor* cursor);

/* seawall::CursorInfo. Never changes. */
typedef struct seawall_cursor_info {
  char name[48]; /* ends with a 0 byte */
  uint64_t position;
  uint64_t durable_position;
} seawall_cursor_info;

/* Log::cursors(): all, by name. Writes `capacity` of them at most to `infos`, and how many there
 * are to `*count`. */
seawall_code seawall_log_cursors(const seawall_log* log, seawall_cursor_info* infos,
                                 size_t capacity, size_t* count, seawall_error** error);

#ifdef __cplusplus
}
#endif

#endif /* SEAWALL_C_H_ */
