/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/c/c_api_user.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "seawall/c.h"

static char failure[4096];

static const char* Failed(int line, const char* what, seawall_error* error) {
  snprintf(failure, sizeof(failure), "line %d: %s (%s: %s)", line, what,
           seawall_code_name(seawall_error_code(error)), seawall_error_message(error));
  return failure;
}

/* Each function has a `seawall_error* error`, which a call that succeeds sets to NULL. */
#define EXPECT(condition)                                         \
  do {                                                            \
    if (!(condition)) return Failed(__LINE__, #condition, error); \
  } while (0)

#define EXPECT_OK(call) EXPECT((call) == SEAWALL_OK && error == NULL)

/* That `call` fails with this code, in the error, too, and a message that contains `part`. */
#define EXPECT_FAILS(expected, part, call)                        \
  do {                                                            \
    EXPECT((call) == (expected));                                 \
    EXPECT(seawall_error_code(error) == (expected));              \
    EXPECT(strstr(seawall_error_message(error), (part)) != NULL); \
    seawall_error_free(error);                                    \
    error = NULL;                                                 \
  } while (0)

static int Holds(const seawall_record* record, uint64_t lsn, const char* text) {
  return record->lsn == lsn && record->payload_bytes == strlen(text) &&
         memcmp(record->payload, text, record->payload_bytes) == 0;
}

static const char* WritesAndReads(const char* directory) {
  seawall_error* error = NULL;
  seawall_log* log = NULL;
  uint64_t lsn = 0, first = 0, last = 0;
  const seawall_slice batch[3] = {{"two", 3}, {NULL, 0}, {"fo\0ur", 5}};
  void* payload = NULL;
  size_t bytes = 0;
  EXPECT_OK(seawall_log_open(directory, NULL, &log, &error));
  EXPECT(strstr(seawall_log_recovery_text(log), "created") != NULL);
  EXPECT(seawall_log_first_lsn(log) == 1 && seawall_log_appended_lsn(log) == 0);
  EXPECT_OK(seawall_log_append(log, "one", 3, SEAWALL_DURABLE, &lsn, &error));
  EXPECT(lsn == 1 && seawall_log_durable_lsn(log) == 1);
  EXPECT_OK(seawall_log_append_batch(log, batch, 3, SEAWALL_APPENDED, &first, &last, &error));
  EXPECT(first == 2 && last == 4 && seawall_log_appended_lsn(log) == 4);
  EXPECT_OK(seawall_log_wait(log, last, SEAWALL_WRITTEN, &error));
  EXPECT(seawall_log_written_lsn(log) == 4);
  EXPECT_OK(seawall_log_wait(log, last, SEAWALL_DURABLE, &error));
  EXPECT(seawall_log_durable_lsn(log) == 4);
  EXPECT_OK(seawall_log_read(log, 4, &payload, &bytes, &error));
  EXPECT(bytes == 5 && memcmp(payload, "fo\0ur", 6) == 0);
  seawall_free(payload);
  EXPECT_OK(seawall_log_read(log, 3, &payload, &bytes, &error));
  EXPECT(bytes == 0 && payload != NULL && *(char*)payload == 0);
  seawall_free(payload);
  EXPECT_FAILS(SEAWALL_OUT_OF_RANGE, "1 to 4", seawall_log_read(log, 5, &payload, &bytes, &error));
  EXPECT(payload == NULL && bytes == 0);
  EXPECT_OK(seawall_log_close(log, &error));
  EXPECT_FAILS(SEAWALL_FAILED_PRECONDITION, "closed",
               seawall_log_append(log, "x", 1, SEAWALL_APPENDED, &lsn, &error));
  EXPECT(lsn == 0);
  seawall_log_free(log);
  return NULL;
}

static const char* ReaderMovesOn(const char* directory) {
  seawall_error* error = NULL;
  seawall_log* log = NULL;
  seawall_reader* reader = NULL;
  const seawall_slice batch[2] = {{"two", 3}, {"three", 5}};
  seawall_record record = {0};
  record.struct_bytes = sizeof(record);
  EXPECT_OK(seawall_log_open(directory, NULL, &log, &error));
  EXPECT_OK(seawall_log_append(log, "one", 3, SEAWALL_APPENDED, NULL, &error));
  EXPECT_OK(seawall_log_append_batch(log, batch, 2, SEAWALL_WRITTEN, NULL, NULL, &error));
  EXPECT_OK(seawall_log_new_reader(log, 1, SEAWALL_READ_WRITTEN, &reader, &error));
  EXPECT(seawall_reader_next(reader, &record) == 1 && Holds(&record, 1, "one"));
  EXPECT(record.batch_continues == 0 && record.sealed_unix_micros > 0);
  EXPECT(seawall_reader_next(reader, &record) == 1 && Holds(&record, 2, "two"));
  EXPECT(record.batch_continues == 1);
  EXPECT(seawall_reader_next(reader, &record) == 1 && Holds(&record, 3, "three"));
  EXPECT(record.batch_continues == 0);
  EXPECT(seawall_reader_next(reader, &record) == 0);
  EXPECT_OK(seawall_reader_status(reader, &error));
  EXPECT(seawall_reader_next_lsn(reader) == 4);
  /* The end is not for ever. */
  EXPECT_OK(seawall_log_append(log, "four", 4, SEAWALL_WRITTEN, NULL, &error));
  EXPECT(seawall_reader_next(reader, &record) == 1 && Holds(&record, 4, "four"));
  EXPECT_OK(seawall_reader_seek(reader, 2, &error));
  EXPECT(seawall_reader_next_lsn(reader) == 2);
  EXPECT(seawall_reader_next(reader, &record) == 1 && Holds(&record, 2, "two"));
  /* One that fails moves nothing. */
  EXPECT_FAILS(SEAWALL_OUT_OF_RANGE, "", seawall_reader_seek(reader, 9, &error));
  EXPECT(seawall_reader_next(reader, &record) == 1 && Holds(&record, 3, "three"));
  seawall_reader_free(reader);
  seawall_log_free(log);
  return NULL;
}

static const char* ReaderOutlivesItsLog(const char* directory) {
  seawall_error* error = NULL;
  seawall_log* log = NULL;
  seawall_log* again = NULL;
  seawall_reader* reader = NULL;
  EXPECT_OK(seawall_log_open(directory, NULL, &log, &error));
  EXPECT_OK(seawall_log_append(log, "one", 3, SEAWALL_DURABLE, NULL, &error));
  EXPECT_OK(seawall_log_new_reader(log, 1, SEAWALL_READ_DURABLE, &reader, &error));
  seawall_log_free(log);
  /* The lock is free at once, whatever the reader holds. */
  EXPECT_OK(seawall_log_open(directory, NULL, &again, &error));
  seawall_log_free(again);
  seawall_reader_free(reader);
  return NULL;
}

static const char* ReadsWithoutTheLock(const char* directory) {
  seawall_error* error = NULL;
  seawall_log* log = NULL;
  seawall_reader* reader = NULL;
  seawall_record record = {0};
  record.struct_bytes = sizeof(record);
  EXPECT_FAILS(SEAWALL_NOT_FOUND, directory,
               seawall_reader_open_read_only(directory, 0, &reader, &error));
  EXPECT(reader == NULL);
  EXPECT_OK(seawall_log_open(directory, NULL, &log, &error));
  EXPECT_OK(seawall_log_append(log, "one", 3, SEAWALL_DURABLE, NULL, &error));
  EXPECT_OK(seawall_reader_open_read_only(directory, 0, &reader, &error));
  EXPECT(strlen(seawall_log_id(log)) == 32);
  EXPECT(strcmp(seawall_reader_log_id(reader), seawall_log_id(log)) == 0);
  EXPECT(seawall_reader_next(reader, &record) == 1 && Holds(&record, 1, "one"));
  EXPECT_OK(seawall_log_append(log, "two", 3, SEAWALL_DURABLE, NULL, &error));
  EXPECT(seawall_reader_next(reader, &record) == 0);
  EXPECT_OK(seawall_reader_seek(reader, seawall_reader_next_lsn(reader), &error));
  EXPECT(seawall_reader_next(reader, &record) == 1 && Holds(&record, 2, "two"));
  seawall_reader_free(reader);
  seawall_log_free(log);
  return NULL;
}

static const char* OpensTheExpectedLogOnly(const char* directory) {
  seawall_error* error = NULL;
  seawall_log* log = NULL;
  seawall_reader* reader = NULL;
  seawall_options options;
  char id[33], moved[1000];
  const char* const other = "00112233445566778899aabbccddeeff";
  EXPECT_OK(seawall_log_open(directory, NULL, &log, &error));
  snprintf(id, sizeof(id), "%s", seawall_log_id(log));
  EXPECT_OK(seawall_log_append(log, "one", 3, SEAWALL_DURABLE, NULL, &error));
  seawall_log_free(log);
  seawall_options_init(&options, sizeof(options));
  EXPECT(options.expected_id == NULL);
  options.expected_id = "1";
  EXPECT_FAILS(SEAWALL_INVALID_ARGUMENT, "32 hexadecimal",
               seawall_log_open(directory, &options, &log, &error));
  options.expected_id = other;
  EXPECT_FAILS(SEAWALL_FAILED_PRECONDITION, other,
               seawall_log_open(directory, &options, &log, &error));
  EXPECT_FAILS(SEAWALL_FAILED_PRECONDITION, id,
               seawall_reader_open_expected(directory, other, 0, &reader, &error));
  options.expected_id = id;
  EXPECT_OK(seawall_log_open(directory, &options, &log, &error));
  seawall_log_free(log);
  EXPECT_OK(seawall_reader_open_expected(directory, id, 0, &reader, &error));
  EXPECT_OK(seawall_reader_seek(reader, 1, &error));
  /* A reader does not go on in another log. */
  snprintf(moved, sizeof(moved), "%s.moved", directory);
  EXPECT(rename(directory, moved) == 0);
  EXPECT_OK(seawall_log_open(directory, NULL, &log, &error));
  EXPECT_FAILS(SEAWALL_FAILED_PRECONDITION, id, seawall_reader_seek(reader, 1, &error));
  EXPECT(strcmp(seawall_reader_log_id(reader), id) == 0);
  seawall_reader_free(reader);
  seawall_log_free(log);
  return NULL;
}

static const char* MetadataAreKept(const char* directory) {
  seawall_error* error = NULL;
  seawall_log* log = NULL;
  seawall_reader* reader = NULL;
  seawall_options options;
  char data[257];
  size_t bytes = 0;
  memset(data, 'x', sizeof(data));
  seawall_options_init(&options, sizeof(options));
  options.metadata = "a\0b";
  options.metadata_bytes = 3;
  EXPECT_OK(seawall_log_open(directory, &options, &log, &error));
  EXPECT_OK(seawall_log_metadata(log, NULL, 0, &bytes, &error));
  EXPECT(bytes == 3);
  EXPECT_OK(seawall_log_metadata(log, data, 2, &bytes, &error));
  EXPECT(bytes == 3 && memcmp(data, "a\0x", 3) == 0);
  EXPECT_OK(seawall_reader_open_read_only(directory, 0, &reader, &error));
  EXPECT_OK(seawall_reader_metadata(reader, data, sizeof(data), &bytes, &error));
  EXPECT(bytes == 3 && memcmp(data, "a\0bx", 4) == 0);
  EXPECT_FAILS(SEAWALL_INVALID_ARGUMENT, "257", seawall_log_set_metadata(log, data, 257, &error));
  EXPECT_OK(seawall_log_set_metadata(log, data, 256, &error));
  EXPECT_OK(seawall_reader_seek(reader, 1, &error));
  EXPECT_OK(seawall_reader_metadata(reader, NULL, 0, &bytes, &error));
  EXPECT(bytes == 256);
  EXPECT_OK(seawall_log_set_metadata(log, NULL, 0, &error));
  EXPECT_OK(seawall_log_metadata(log, data, sizeof(data), &bytes, &error));
  EXPECT(bytes == 0);
  EXPECT_FAILS(SEAWALL_INVALID_ARGUMENT, "bytes", seawall_log_metadata(log, data, 9, NULL, &error));
  EXPECT_FAILS(SEAWALL_INVALID_ARGUMENT, "data",
               seawall_reader_metadata(reader, NULL, 9, &bytes, &error));
  EXPECT_FAILS(SEAWALL_INVALID_ARGUMENT, "data", seawall_log_set_metadata(log, NULL, 9, &error));
  seawall_reader_free(reader);
  seawall_log_free(log);
  return NULL;
}

static const char* RecoversWhatWasThere(const char* directory) {
  seawall_error* error = NULL;
  seawall_log* log = NULL;
  seawall_log* second = NULL;
  seawall_recovery_report report = {0};
  seawall_options options;
  report.struct_bytes = sizeof(report);
  seawall_options_init(&options, sizeof(options));
  EXPECT(options.create_if_missing == 1);
  options.create_if_missing = 0;
  EXPECT_FAILS(SEAWALL_NOT_FOUND, directory, seawall_log_open(directory, &options, &log, &error));
  EXPECT(log == NULL);
  EXPECT_OK(seawall_log_open(directory, NULL, &log, &error));
  EXPECT_OK(seawall_log_append(log, "one", 3, SEAWALL_DURABLE, NULL, &error));
  EXPECT_FAILS(SEAWALL_FAILED_PRECONDITION, "LOCK",
               seawall_log_open(directory, NULL, &second, &error));
  seawall_log_free(log);
  EXPECT_OK(seawall_log_open(directory, &options, &log, &error));
  EXPECT_OK(seawall_log_recovery_report(log, &report, &error));
  EXPECT(report.verdict == SEAWALL_RECOVERY_CLEAN && report.first_lsn == 1 && report.last_lsn == 1);
  EXPECT(report.struct_bytes == sizeof(report) && strcmp(report.torn_path, "") == 0);
  seawall_log_free(log);
  return NULL;
}

static const char* TrimsAndTruncates(const char* directory) {
  seawall_error* error = NULL;
  seawall_log* log = NULL;
  seawall_stats stats = {0};
  seawall_options options;
  char record[1000] = {0};
  uint64_t lsn = 0;
  int i;
  stats.struct_bytes = sizeof(stats);
  seawall_options_init(&options, sizeof(options));
  options.segment_bytes = 16384;
  options.buffer_bytes = 8192;
  options.max_record_bytes = 1000;
  EXPECT_OK(seawall_log_open(directory, &options, &log, &error));
  for (i = 0; i < 100; ++i) {
    EXPECT_OK(seawall_log_append(log, record, sizeof(record), SEAWALL_APPENDED, &lsn, &error));
  }
  EXPECT_OK(seawall_log_wait(log, lsn, SEAWALL_DURABLE, &error));
  EXPECT_OK(seawall_log_trim_before(log, 50, &error));
  EXPECT(seawall_log_first_lsn(log) > 1 && seawall_log_first_lsn(log) <= 50);
  EXPECT_FAILS(SEAWALL_OUT_OF_RANGE, "101", seawall_log_trim_before(log, 102, &error));
  EXPECT_OK(seawall_log_truncate_after(log, 60, &error));
  EXPECT(seawall_log_appended_lsn(log) == 60);
  EXPECT_OK(seawall_log_append(log, record, 1, SEAWALL_DURABLE, &lsn, &error));
  EXPECT(lsn == 61);
  EXPECT_FAILS(SEAWALL_INVALID_ARGUMENT, "max_record_bytes",
               seawall_log_append(log, directory, 1001, SEAWALL_APPENDED, &lsn, &error));
  EXPECT_OK(seawall_log_stats(log, &stats, &error));
  EXPECT(stats.appended_records == 101 && stats.appended_payload_bytes == 100001);
  EXPECT(stats.durable_lsn == 61 && stats.first_lsn == seawall_log_first_lsn(log));
  EXPECT(stats.rollovers > 0 && stats.syncs > 0 && stats.struct_bytes == sizeof(stats));
  seawall_log_free(log);
  return NULL;
}

/* What callbacks of a log's thread leave; read when the log was closed. */
typedef struct Calls {
  int calls;
  int out_of_order;
  seawall_code codes[64];
  char last_message[256];
} Calls;

typedef struct Call {
  Calls* calls;
  int index;
} Call;

static void OnDurable(void* context, seawall_code code, const char* message) {
  Call* call = context;
  Calls* calls = call->calls;
  if (call->index != calls->calls) ++calls->out_of_order;
  calls->codes[calls->calls++] = code;
  snprintf(calls->last_message, sizeof(calls->last_message), "%s", message);
}

static const char* CallsBack(const char* directory) {
  seawall_error* error = NULL;
  seawall_log* log = NULL;
  Calls calls;
  Call call[64];
  uint64_t lsn = 0;
  int i;
  memset(&calls, 0, sizeof(calls));
  EXPECT_OK(seawall_log_open(directory, NULL, &log, &error));
  for (i = 0; i < 64; ++i) {
    call[i].calls = &calls;
    call[i].index = i;
    EXPECT_OK(seawall_log_append(log, "x", 1, SEAWALL_APPENDED, &lsn, &error));
    EXPECT_OK(seawall_log_notify_durable(log, lsn, OnDurable, &call[i], &error));
  }
  EXPECT_FAILS(SEAWALL_OUT_OF_RANGE, "65",
               seawall_log_notify_durable(log, 65, OnDurable, NULL, &error));
  EXPECT_OK(seawall_log_close(log, &error));
  EXPECT(calls.calls == 64 && calls.out_of_order == 0 && strcmp(calls.last_message, "") == 0);
  for (i = 0; i < 64; ++i) EXPECT(calls.codes[i] == SEAWALL_OK);
  EXPECT_FAILS(SEAWALL_FAILED_PRECONDITION, "closed",
               seawall_log_notify_durable(log, 1, OnDurable, NULL, &error));
  seawall_log_free(log);
  return NULL;
}

static const char* ResetBeginsAnew(const char* directory) {
  seawall_error* error = NULL;
  seawall_log* log = NULL;
  uint64_t lsn = 0;
  EXPECT_OK(seawall_log_open(directory, NULL, &log, &error));
  EXPECT_OK(seawall_log_append(log, "one", 3, SEAWALL_DURABLE, &lsn, &error));
  EXPECT_FAILS(SEAWALL_INVALID_ARGUMENT, "", seawall_log_reset(log, 0, &error));
  EXPECT_OK(seawall_log_reset(log, 1000, &error));
  EXPECT(seawall_log_first_lsn(log) == 1000 && seawall_log_appended_lsn(log) == 999);
  EXPECT_OK(seawall_log_append(log, "one", 3, SEAWALL_DURABLE, &lsn, &error));
  EXPECT(lsn == 1000);
  seawall_log_free(log);
  return NULL;
}

static const char* ReaderWaits(const char* directory) {
  seawall_error* error = NULL;
  seawall_log* log = NULL;
  seawall_reader* reader = NULL;
  seawall_record record = {0};
  record.struct_bytes = sizeof(record);
  EXPECT_OK(seawall_log_open(directory, NULL, &log, &error));
  EXPECT_OK(seawall_log_new_reader(log, 1, SEAWALL_READ_DURABLE, &reader, &error));
  EXPECT_FAILS(SEAWALL_DEADLINE_EXCEEDED, "", seawall_reader_wait(reader, 0, &error));
  EXPECT_FAILS(SEAWALL_DEADLINE_EXCEEDED, "", seawall_reader_wait(reader, 1000, &error));
  EXPECT_OK(seawall_log_append(log, "one", 3, SEAWALL_DURABLE, NULL, &error));
  EXPECT_OK(seawall_reader_wait(reader, -1, &error));
  EXPECT_OK(seawall_reader_wait(reader, INT64_MAX, &error));
  EXPECT(seawall_reader_next(reader, &record) == 1 && Holds(&record, 1, "one"));
  seawall_reader_cancel(reader);
  EXPECT_FAILS(SEAWALL_CANCELLED, "", seawall_reader_wait(reader, -1, &error));
  EXPECT_OK(seawall_reader_seek(reader, 2, &error));
  EXPECT_FAILS(SEAWALL_CANCELLED, "", seawall_reader_wait(reader, -1, &error));
  seawall_reader_free(reader);
  seawall_log_free(log);
  return NULL;
}

static const char* CursorsKeepTheirPlace(const char* directory) {
  seawall_error* error = NULL;
  seawall_log* log = NULL;
  seawall_cursor* cursor = NULL;
  seawall_cursor_info infos[2];
  size_t count = 0;
  seawall_options options;
  EXPECT_OK(seawall_log_open(directory, NULL, &log, &error));
  EXPECT_FAILS(SEAWALL_FAILED_PRECONDITION, "cursor",
               seawall_log_open_cursor(log, "mail", &cursor, &error));
  EXPECT(cursor == NULL);
  EXPECT_OK(seawall_log_append(log, "one", 3, SEAWALL_DURABLE, NULL, &error));
  seawall_log_free(log);
  seawall_options_init(&options, sizeof(options));
  options.cursors = 1;
  EXPECT_OK(seawall_log_open(directory, &options, &log, &error));
  EXPECT_OK(seawall_log_open_cursor(log, "mail", &cursor, &error));
  EXPECT(seawall_cursor_position(cursor) == 0);
  EXPECT_OK(seawall_cursor_advance(cursor, 1, SEAWALL_DURABLE, &error));
  EXPECT(seawall_cursor_position(cursor) == 1);
  EXPECT_FAILS(SEAWALL_OUT_OF_RANGE, "",
               seawall_cursor_advance(cursor, 2, SEAWALL_DURABLE, &error));
  EXPECT_FAILS(SEAWALL_INVALID_ARGUMENT, "durability",
               seawall_cursor_advance(cursor, 1, 3, &error));
  seawall_log_free(log);
  seawall_cursor_free(cursor);
  EXPECT_OK(seawall_log_open(directory, &options, &log, &error));
  EXPECT_OK(seawall_log_open_cursor(log, "billing", &cursor, &error));
  memset(infos, 0xff, sizeof(infos));
  EXPECT_OK(seawall_log_cursors(log, infos, 2, &count, &error));
  EXPECT(count == 2 && strcmp(infos[0].name, "billing") == 0 && strcmp(infos[1].name, "mail") == 0);
  EXPECT(infos[1].position == 1 && infos[1].durable_position == 1);
  EXPECT_OK(seawall_log_drop_cursor(log, "mail", &error));
  EXPECT_FAILS(SEAWALL_NOT_FOUND, "mail", seawall_log_drop_cursor(log, "mail", &error));
  EXPECT_OK(seawall_log_cursors(log, NULL, 0, &count, &error));
  EXPECT(count == 1);
  seawall_cursor_free(cursor);
  seawall_log_free(log);
  return NULL;
}

#define EXPECT_NULL(name, call) EXPECT_FAILS(SEAWALL_INVALID_ARGUMENT, name " is NULL", call)

static const char* RefusesNull(const char* directory) {
  seawall_error* error = NULL;
  seawall_log* log = NULL;
  seawall_reader* reader = NULL;
  seawall_record record = {0};
  void* payload = NULL;
  size_t bytes = 0;
  const seawall_slice slice = {NULL, 1};
  record.struct_bytes = sizeof(record);
  EXPECT_NULL("log", seawall_log_open(directory, NULL, NULL, &error));
  EXPECT_NULL("directory", seawall_log_open(NULL, NULL, &log, &error));
  EXPECT_NULL("log", seawall_log_close(NULL, &error));
  EXPECT_NULL("log", seawall_log_recovery_report(NULL, NULL, &error));
  EXPECT_NULL("log", seawall_log_append(NULL, "x", 1, SEAWALL_APPENDED, NULL, &error));
  EXPECT_NULL("log", seawall_log_append_batch(NULL, NULL, 0, SEAWALL_APPENDED, NULL, NULL, &error));
  EXPECT_NULL("log", seawall_log_wait(NULL, 1, SEAWALL_DURABLE, &error));
  EXPECT_NULL("log", seawall_log_notify_durable(NULL, 1, OnDurable, NULL, &error));
  EXPECT_NULL("log", seawall_log_trim_before(NULL, 1, &error));
  EXPECT_NULL("log", seawall_log_truncate_after(NULL, 1, &error));
  EXPECT_NULL("log", seawall_log_stats(NULL, NULL, &error));
  EXPECT_NULL("log", seawall_log_read(NULL, 1, &payload, &bytes, &error));
  EXPECT_NULL("log", seawall_log_new_reader(NULL, 1, SEAWALL_READ_DURABLE, &reader, &error));
  EXPECT_NULL("directory", seawall_reader_open_read_only(NULL, 0, &reader, &error));
  EXPECT_NULL("directory", seawall_reader_open_expected(NULL, NULL, 0, &reader, &error));
  EXPECT_NULL("reader", seawall_reader_status(NULL, &error));
  EXPECT_NULL("reader", seawall_reader_seek(NULL, 1, &error));
  EXPECT_NULL("reader", seawall_reader_wait(NULL, 1, &error));
  seawall_reader_cancel(NULL);
  EXPECT_NULL("log", seawall_log_reset(NULL, 1, &error));
  EXPECT_NULL("log", seawall_log_open_cursor(NULL, "x", NULL, &error));
  EXPECT_NULL("log", seawall_log_drop_cursor(NULL, "x", &error));
  EXPECT_NULL("log", seawall_log_metadata(NULL, NULL, 0, &bytes, &error));
  EXPECT_NULL("log", seawall_log_set_metadata(NULL, "x", 1, &error));
  EXPECT_NULL("reader", seawall_reader_metadata(NULL, NULL, 0, &bytes, &error));
  EXPECT_NULL("log", seawall_log_cursors(NULL, NULL, 0, &bytes, &error));
  EXPECT_NULL("cursor", seawall_cursor_advance(NULL, 1, SEAWALL_DURABLE, &error));
  EXPECT(seawall_cursor_position(NULL) == 0);
  seawall_cursor_free(NULL);
  EXPECT(seawall_reader_next(NULL, &record) == -1 && seawall_reader_next_lsn(NULL) == 0);
  EXPECT(seawall_log_id(NULL) == NULL && seawall_reader_log_id(NULL) == NULL);
  EXPECT(seawall_log_recovery_text(NULL) == NULL && seawall_log_first_lsn(NULL) == 0);
  EXPECT(seawall_log_appended_lsn(NULL) == 0 && seawall_log_written_lsn(NULL) == 0);
  EXPECT(seawall_log_durable_lsn(NULL) == 0);
  seawall_log_free(NULL);
  seawall_reader_free(NULL);
  seawall_error_free(NULL);
  seawall_free(NULL);
  seawall_options_init(NULL, sizeof(seawall_options));

  EXPECT_OK(seawall_log_open(directory, NULL, &log, &error));
  EXPECT_NULL("report", seawall_log_recovery_report(log, NULL, &error));
  EXPECT_NULL("data", seawall_log_append(log, NULL, 1, SEAWALL_APPENDED, NULL, &error));
  EXPECT_NULL("records",
              seawall_log_append_batch(log, NULL, 1, SEAWALL_APPENDED, NULL, NULL, &error));
  EXPECT_NULL("data",
              seawall_log_append_batch(log, &slice, 1, SEAWALL_APPENDED, NULL, NULL, &error));
  EXPECT_NULL("callback", seawall_log_notify_durable(log, 0, NULL, NULL, &error));
  EXPECT_NULL("stats", seawall_log_stats(log, NULL, &error));
  EXPECT_NULL("name", seawall_log_open_cursor(log, NULL, NULL, &error));
  EXPECT_NULL("cursor", seawall_log_open_cursor(log, "x", NULL, &error));
  EXPECT_NULL("name", seawall_log_drop_cursor(log, NULL, &error));
  EXPECT_NULL("infos", seawall_log_cursors(log, NULL, 1, &bytes, &error));
  EXPECT_NULL("count", seawall_log_cursors(log, NULL, 0, NULL, &error));
  EXPECT_NULL("payload", seawall_log_read(log, 1, NULL, &bytes, &error));
  EXPECT_NULL("bytes", seawall_log_read(log, 1, &payload, NULL, &error));
  EXPECT_NULL("reader", seawall_log_new_reader(log, 1, SEAWALL_READ_DURABLE, NULL, &error));
  EXPECT(seawall_log_appended_lsn(log) == 0);
  /* Who does not want the error gets the code all the same. */
  EXPECT(seawall_log_read(log, 1, &payload, &bytes, NULL) == SEAWALL_OUT_OF_RANGE);
  EXPECT_OK(seawall_log_new_reader(log, 1, SEAWALL_READ_DURABLE, &reader, &error));
  EXPECT(seawall_reader_next(reader, NULL) == -1);
  EXPECT_NULL("record", seawall_reader_status(reader, &error));
  EXPECT(seawall_reader_next(reader, &record) == 0);
  EXPECT_OK(seawall_reader_status(reader, &error));
  seawall_reader_free(reader);
  seawall_log_free(log);
  return NULL;
}

static const char* RefusesWrongNumbers(const char* directory) {
  seawall_error* error = NULL;
  seawall_log* log = NULL;
  seawall_reader* reader = NULL;
  seawall_options options;
  const seawall_slice slice = {"x", 1};
  seawall_options_init(&options, sizeof(options));
  options.sync_method = 4;
  EXPECT_FAILS(SEAWALL_INVALID_ARGUMENT, "sync_method is 4",
               seawall_log_open(directory, &options, &log, &error));
  seawall_options_init(&options, sizeof(options));
  options.when_full = 2;
  EXPECT_FAILS(SEAWALL_INVALID_ARGUMENT, "when_full is 2",
               seawall_log_open(directory, &options, &log, &error));
  seawall_options_init(&options, sizeof(options));
  options.segment_bytes = 1;
  EXPECT_FAILS(SEAWALL_INVALID_ARGUMENT, "segment_bytes is 1",
               seawall_log_open(directory, &options, &log, &error));
  EXPECT_OK(seawall_log_open(directory, NULL, &log, &error));
  EXPECT_FAILS(SEAWALL_INVALID_ARGUMENT, "durability is 3",
               seawall_log_append(log, "x", 1, 3, NULL, &error));
  EXPECT_FAILS(SEAWALL_INVALID_ARGUMENT, "durability is -1",
               seawall_log_append_batch(log, &slice, 1, -1, NULL, NULL, &error));
  EXPECT_FAILS(SEAWALL_INVALID_ARGUMENT, "durability is 9", seawall_log_wait(log, 0, 9, &error));
  EXPECT_FAILS(SEAWALL_INVALID_ARGUMENT, "limit is 2",
               seawall_log_new_reader(log, 1, 2, &reader, &error));
  EXPECT_FAILS(SEAWALL_INVALID_ARGUMENT, "0 records",
               seawall_log_append_batch(log, &slice, 0, 0, NULL, NULL, &error));
  EXPECT_FAILS(SEAWALL_INVALID_ARGUMENT, "records",
               seawall_log_append_batch(log, &slice, (size_t)-1, 0, NULL, NULL, &error));
  EXPECT(seawall_log_appended_lsn(log) == 0);
  EXPECT(strcmp(seawall_code_name(SEAWALL_DATA_LOSS), "DATA_LOSS") == 0);
  EXPECT(strcmp(seawall_code_name(-1), "UNKNOWN") == 0);
  EXPECT(strcmp(seawall_code_name(17), "UNKNOWN") == 0);
  EXPECT(seawall_error_class(SEAWALL_OK) == SEAWALL_CLASS_NONE);
  EXPECT(seawall_error_class(SEAWALL_RESOURCE_EXHAUSTED) == SEAWALL_CLASS_REFUSED);
  EXPECT(seawall_error_class(SEAWALL_INVALID_ARGUMENT) == SEAWALL_CLASS_LIMIT);
  EXPECT(seawall_error_class(SEAWALL_ABORTED) == SEAWALL_CLASS_LATCHED);
  EXPECT(seawall_error_class(SEAWALL_DATA_LOSS) == SEAWALL_CLASS_DAMAGE);
  EXPECT(seawall_error_class(17) == SEAWALL_CLASS_LATCHED);
  seawall_log_free(log);
  return NULL;
}

/* As a program that was compiled with a later header has them. */
typedef struct LaterOptions {
  seawall_options now;
  uint64_t later;
} LaterOptions;

typedef struct LaterStats {
  seawall_stats now;
  uint64_t later[4];
  uint64_t not_ours;
} LaterStats;

typedef struct LaterRecord {
  seawall_record now;
  uint64_t later;
} LaterRecord;

static const char* StructsMayGrow(const char* directory) {
  seawall_error* error = NULL;
  seawall_log* log = NULL;
  seawall_reader* reader = NULL;
  LaterOptions options;
  LaterStats stats;
  LaterRecord record;
  memset(&options, 0xff, sizeof(options));
  seawall_options_init(&options.now, sizeof(options));
  EXPECT(options.now.struct_bytes == sizeof(options) && options.later == 0);
  options.later = 1;
  EXPECT_FAILS(SEAWALL_INVALID_ARGUMENT, "knows",
               seawall_log_open(directory, &options.now, &log, &error));
  options.later = 0;
  options.now.reserved = 1;
  EXPECT_FAILS(SEAWALL_INVALID_ARGUMENT, "reserved is 1",
               seawall_log_open(directory, &options.now, &log, &error));
  options.now.reserved = 0;
  EXPECT_OK(seawall_log_open(directory, &options.now, &log, &error));
  EXPECT_OK(seawall_log_append(log, "one", 3, SEAWALL_DURABLE, NULL, &error));

  memset(&stats, 0xff, sizeof(stats));
  stats.now.struct_bytes = offsetof(LaterStats, not_ours);
  EXPECT_OK(seawall_log_stats(log, &stats.now, &error));
  EXPECT(stats.now.durable_lsn == 1 && stats.later[0] == 0 && stats.later[3] == 0);
  EXPECT(stats.now.struct_bytes == offsetof(LaterStats, not_ours));
  EXPECT(stats.not_ours == UINT64_MAX);
  stats.now.struct_bytes = 0;
  EXPECT_FAILS(SEAWALL_INVALID_ARGUMENT, "stats->struct_bytes is 0",
               seawall_log_stats(log, &stats.now, &error));
  stats.now.struct_bytes = UINT32_MAX;
  EXPECT_FAILS(SEAWALL_INVALID_ARGUMENT, "stats->struct_bytes is 4294967295",
               seawall_log_stats(log, &stats.now, &error));

  memset(&record, 0xff, sizeof(record));
  EXPECT_OK(seawall_log_new_reader(log, 1, SEAWALL_READ_DURABLE, &reader, &error));
  EXPECT(seawall_reader_next(reader, &record.now) == -1);
  EXPECT_FAILS(SEAWALL_INVALID_ARGUMENT, "struct_bytes", seawall_reader_status(reader, &error));
  record.now.struct_bytes = sizeof(record);
  EXPECT(seawall_reader_next(reader, &record.now) == 1 && Holds(&record.now, 1, "one"));
  EXPECT(record.later == 0);
  seawall_reader_free(reader);
  seawall_log_free(log);
  log = NULL;

  /* A program of the first version, which knew 64 bytes: what comes behind is not looked at. */
  memset(&options, 0xff, sizeof(options));
  seawall_options_init(&options.now, 64);
  EXPECT(options.now.cursors == UINT32_MAX && options.now.max_recycled_segments < UINT32_MAX);
  EXPECT_OK(seawall_log_open(directory, &options.now, &log, &error));
  seawall_log_free(log);
  log = NULL;

  options.now.struct_bytes = 8;
  EXPECT_FAILS(SEAWALL_INVALID_ARGUMENT, "options->struct_bytes is 8",
               seawall_log_open(directory, &options.now, &log, &error));
  memset(&options, 0xff, sizeof(options));
  seawall_options_init(&options.now, 8);
  EXPECT(options.now.struct_bytes == UINT32_MAX);
  return NULL;
}

/* Where programs that are compiled today expect things. A line here is added, never changed. */
static const char* LayoutStays(const char* directory) {
  seawall_error* error = NULL;
  (void)directory;
  EXPECT(seawall_abi_version() == 1 && SEAWALL_ABI_VERSION == 1);
  EXPECT(strcmp(seawall_version(), "0.1.0") == 0);
  if (sizeof(void*) != 8) return NULL;
  EXPECT(sizeof(seawall_slice) == 16);
  EXPECT(sizeof(seawall_code) == 4 && sizeof(seawall_durability) == 4);
  EXPECT(sizeof(seawall_options) >= 64);
  EXPECT(offsetof(seawall_options, create_if_missing) == 4);
  EXPECT(offsetof(seawall_options, segment_bytes) == 8);
  EXPECT(offsetof(seawall_options, buffer_bytes) == 16);
  EXPECT(offsetof(seawall_options, buffer_count) == 24);
  EXPECT(offsetof(seawall_options, when_full) == 28);
  EXPECT(offsetof(seawall_options, max_record_bytes) == 32);
  EXPECT(offsetof(seawall_options, sync_method) == 40);
  EXPECT(offsetof(seawall_options, direct_io) == 44);
  EXPECT(offsetof(seawall_options, flush_interval_micros) == 48);
  EXPECT(offsetof(seawall_options, group_alignment_bytes) == 56);
  EXPECT(offsetof(seawall_options, max_recycled_segments) == 60);
  EXPECT(offsetof(seawall_options, cursors) == 64);
  EXPECT(offsetof(seawall_options, expected_id) == 72);
  EXPECT(offsetof(seawall_options, metadata) == 80);
  EXPECT(offsetof(seawall_options, metadata_bytes) == 88);
  EXPECT(sizeof(seawall_cursor_info) == 64);
  EXPECT(offsetof(seawall_cursor_info, position) == 48);
  EXPECT(sizeof(seawall_recovery_report) >= 96);
  EXPECT(offsetof(seawall_recovery_report, verdict) == 4);
  EXPECT(offsetof(seawall_recovery_report, first_lsn) == 8);
  EXPECT(offsetof(seawall_recovery_report, discarded_bytes) == 64);
  EXPECT(offsetof(seawall_recovery_report, torn_path) == 88);
  EXPECT(sizeof(seawall_stats) >= 160);
  EXPECT(offsetof(seawall_stats, first_lsn) == 8);
  EXPECT(offsetof(seawall_stats, appended_records) == 40);
  EXPECT(offsetof(seawall_stats, segments) == 120);
  EXPECT(offsetof(seawall_stats, waiters) == 152);
  EXPECT(sizeof(seawall_record) >= 40);
  EXPECT(offsetof(seawall_record, batch_continues) == 4);
  EXPECT(offsetof(seawall_record, lsn) == 8);
  EXPECT(offsetof(seawall_record, payload) == 16);
  EXPECT(offsetof(seawall_record, payload_bytes) == 24);
  EXPECT(offsetof(seawall_record, sealed_unix_micros) == 32);
  return NULL;
}

const CApiCase kCApiCases[] = {
    {"WritesAndReads", WritesAndReads},
    {"ReaderMovesOn", ReaderMovesOn},
    {"ReaderOutlivesItsLog", ReaderOutlivesItsLog},
    {"ReadsWithoutTheLock", ReadsWithoutTheLock},
    {"OpensTheExpectedLogOnly", OpensTheExpectedLogOnly},
    {"MetadataAreKept", MetadataAreKept},
    {"RecoversWhatWasThere", RecoversWhatWasThere},
    {"TrimsAndTruncates", TrimsAndTruncates},
    {"CallsBack", CallsBack},
    {"ResetBeginsAnew", ResetBeginsAnew},
    {"ReaderWaits", ReaderWaits},
    {"CursorsKeepTheirPlace", CursorsKeepTheirPlace},
    {"RefusesNull", RefusesNull},
    {"RefusesWrongNumbers", RefusesWrongNumbers},
    {"StructsMayGrow", StructsMayGrow},
    {"LayoutStays", LayoutStays},
    {NULL, NULL},
};
