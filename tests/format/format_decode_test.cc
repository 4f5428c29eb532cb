// SPDX-License-Identifier: Apache-2.0
// A second decoder, in Python and written from FORMAT.md, reads what the engine wrote: what the
// document says is what is on disk.
#include <sys/wait.h>

#include <cstdio>
#include <sstream>
#include <string>

#include "gtest/gtest.h"
#include "seawall/log.h"
#include "tests/support/test_util.h"

namespace seawall {
namespace {

struct Decoded {
  int status = -1;
  std::string records;  // "LSN FLAGS PAYLOAD-IN-HEX" a line
  std::string control;
  std::string metadata;  // in hex
  std::string cursors;   // "LSN NAME-IN-HEX" a line
  std::string end;
  int segments = 0;
  int recycled = 0;
  int groups = 0;
  int indexes = 0;
  int indexed_records = 0;
};

Decoded Decode(const std::string& directory) {
  Decoded decoded;
  FILE* pipe = popen(("python3 tests/format/format_decode.py '" + directory + "'").c_str(), "r");
  if (pipe == nullptr) return decoded;
  std::string output;
  char buffer[4096];
  while (size_t got = fread(buffer, 1, sizeof(buffer), pipe)) output.append(buffer, got);
  decoded.status = pclose(pipe);
  if (WIFEXITED(decoded.status)) decoded.status = WEXITSTATUS(decoded.status);
  std::istringstream lines(output);
  for (std::string line; std::getline(lines, line);) {
    const size_t space = line.find(' ');
    const std::string kind = line.substr(0, space);
    const std::string rest = line.substr(space + 1);
    if (kind == "record") decoded.records += rest + "\n";
    if (kind == "control") decoded.control = rest;
    if (kind == "metadata") decoded.metadata = rest;
    if (kind == "cursor") decoded.cursors += rest + "\n";
    if (kind == "end") decoded.end = rest;
    if (kind == "group") ++decoded.groups;
    if (kind == "index") {
      ++decoded.indexes;
      decoded.indexed_records += std::stoi(rest.substr(rest.rfind(' ')));
    }
    if (kind == "segment") {
      ++decoded.segments;
      if (rest.find("recycled") != std::string::npos) ++decoded.recycled;
    }
  }
  return decoded;
}

#define SKIP_WITHOUT_PYTHON(decoded)                       \
  if ((decoded).status == 77 || (decoded).status == 127) { \
    GTEST_SKIP() << "needs python3 and libxxhash.so.0";    \
  }

Options SmallSegments(uint32_t alignment) {
  Options options;
  options.segment_bytes = uint64_t{32} << 10;
  options.max_record_bytes = 8000;
  options.group_alignment_bytes = alignment;
  return options;
}

TEST(FormatDecodeTest, ReadsEveryRecordOfAClosedLog) {
  for (uint32_t alignment : {8u, 512u, 4096u}) {
    TempDir dir;
    std::string expected;
    absl::StatusOr<std::unique_ptr<Log>> log = Log::Open(dir.path(), SmallSegments(alignment));
    ASSERT_OK(log);
    auto expect = [&](Lsn lsn, int flags, const std::string& payload) {
      expected += std::to_string(lsn) + " " + std::to_string(flags) + " " + Hex(payload) + "\n";
    };
    Lsn lsn = 0;
    for (int i = 0; i < 60; ++i) {
      const std::string payload(static_cast<size_t>(i * i), static_cast<char>(i));
      ASSERT_OK((*log)->Append(payload, i % 3 == 0 ? Durability::kDurable : Durability::kAppended));
      expect(++lsn, 0, payload);
      ASSERT_OK((*log)->AppendBatch({"first", "", "third"}));
      expect(++lsn, 1, "first");
      expect(++lsn, 1, "");
      expect(++lsn, 0, "third");
    }
    ASSERT_OK((*log)->Close());
    Decoded decoded = Decode(dir.path());
    SKIP_WITHOUT_PYTHON(decoded);
    EXPECT_EQ(decoded.status, 0);
    EXPECT_TRUE(decoded.records == expected);
    EXPECT_EQ(decoded.end, "240");
    EXPECT_GT(decoded.segments, 2);
    EXPECT_GT(decoded.groups, 15);
    EXPECT_NE(decoded.control.find("240 closed"), std::string::npos) << decoded.control;
  }
}

TEST(FormatDecodeTest, ReadsALogThatWasTrimmedRecycledTruncatedAndReopened) {
  TempDir dir;
  for (int round = 0; round < 3; ++round) {
    absl::StatusOr<std::unique_ptr<Log>> log = Log::Open(dir.path(), SmallSegments(8));
    ASSERT_OK(log);
    for (int i = 0; i < 60; ++i) {
      ASSERT_OK((*log)->AppendDurable(std::string(3000, static_cast<char>('a' + i % 26))));
      if (i % 20 == 10) {
        ASSERT_OK((*log)->TrimBefore((*log)->durable_lsn() - 8));
      }
    }
    ASSERT_OK((*log)->TruncateAfter((*log)->durable_lsn() - 3));
    ASSERT_OK((*log)->AppendBatch({"x", "y"}, Durability::kDurable));
    ASSERT_OK((*log)->Close());
    Decoded decoded = Decode(dir.path());
    SKIP_WITHOUT_PYTHON(decoded);
    ASSERT_EQ(decoded.status, 0);
    EXPECT_EQ(decoded.end, std::to_string((round + 1) * 59));
    absl::StatusOr<std::unique_ptr<Reader>> reader = Reader::OpenReadOnly(dir.path());
    ASSERT_OK(reader);
    std::string expected;
    Record record;
    while ((*reader)->Next(&record)) {
      expected += std::to_string(record.lsn) + (record.batch_continues ? " 1 " : " 0 ") +
                  Hex(record.payload) + "\n";
    }
    EXPECT_TRUE(decoded.records == expected);
  }
}

TEST(FormatDecodeTest, ReadsMetadata) {
  TempDir dir;
  Options options = SmallSegments(8);
  options.metadata = "abc";
  absl::StatusOr<std::unique_ptr<Log>> log = Log::Open(dir.path(), options);
  ASSERT_OK(log);
  for (const std::string& metadata :
       {std::string("abc"), std::string(kMaxMetadataBytes, 'z'), std::string()}) {
    ASSERT_OK((*log)->SetMetadata(metadata));
    ASSERT_OK((*log)->AppendDurable("x"));
    const Decoded decoded = Decode(dir.path());
    SKIP_WITHOUT_PYTHON(decoded);
    ASSERT_EQ(decoded.status, 0);
    EXPECT_EQ(decoded.metadata, Hex(metadata));
  }
}

TEST(FormatDecodeTest, ReadsCursors) {
  TempDir dir;
  Options options = SmallSegments(8);
  options.cursors = true;
  absl::StatusOr<std::unique_ptr<Log>> log = Log::Open(dir.path(), options);
  ASSERT_OK(log);
  absl::StatusOr<std::unique_ptr<Cursor>> a = (*log)->OpenCursor("a");
  absl::StatusOr<std::unique_ptr<Cursor>> b = (*log)->OpenCursor("b");
  ASSERT_OK(a);
  ASSERT_OK(b);
  for (Lsn lsn = 1; lsn <= 30; ++lsn) {
    ASSERT_OK((*log)->AppendDurable(std::string(3000, 'x')));
    ASSERT_OK((lsn % 2 == 0 ? *a : *b)->Advance(lsn));
    if (lsn % 7 != 0) continue;
    const Decoded decoded = Decode(dir.path());  // of a log that is open
    SKIP_WITHOUT_PYTHON(decoded);
    ASSERT_EQ(decoded.status, 0);
    ASSERT_EQ(decoded.end, std::to_string(lsn));
    ASSERT_EQ(decoded.cursors, std::to_string(lsn / 2 * 2) + " 61\n" +
                                   std::to_string((lsn + 1) / 2 * 2 - 1) + " 62\n");
  }
  ASSERT_OK((*log)->Close());
  EXPECT_EQ(Decode(dir.path()).cursors, "30 61\n29 62\n");
}

TEST(FormatDecodeTest, ReadsTheIndexesOfSegments) {
  TempDir dir;
  Options options = SmallSegments(8);
  options.segment_bytes = 256 << 10;
  absl::StatusOr<std::unique_ptr<Log>> log = Log::Open(dir.path(), options);
  ASSERT_OK(log);
  for (int round = 0; round < 2; ++round) {
    while ((*log)->stats().segments < 3) {
      ASSERT_OK((*log)->AppendBatch({std::string(7000, 'x'), "", "third"}, Durability::kDurable));
    }
    if (round == 0) {
      // A segment that is cut, and whose successor is recycled, has none but those of before.
      ASSERT_OK((*log)->TruncateAfter((*log)->durable_lsn() / 2));
      ASSERT_OK((*log)->TrimBefore((*log)->durable_lsn() - 30));
    }
  }
  ASSERT_OK((*log)->Close());
  EXPECT_GE((*log)->stats().indexes_written, 2u);
  Decoded decoded = Decode(dir.path());
  SKIP_WITHOUT_PYTHON(decoded);
  EXPECT_EQ(decoded.status, 0);
  EXPECT_GE(decoded.indexes, 1);
}

TEST(FormatDecodeTest, ReadsTheIndexesOfLargeGroups) {
  TempDir dir;
  Options options = SmallSegments(8);
  options.segment_bytes = 512 << 10;
  options.buffer_bytes = 200 << 10;
  absl::StatusOr<std::unique_ptr<Log>> log = Log::Open(dir.path(), options);
  ASSERT_OK(log);
  for (int i = 0; (*log)->stats().segments < 4; ++i) {
    // Small groups, those that are just larger than an interval, and large ones.
    for (int j = 0; j < i % 7 * 20; ++j) ASSERT_OK((*log)->Append(std::string(1000, 'x')));
    ASSERT_OK((*log)->AppendDurable("last"));
  }
  ASSERT_OK((*log)->Close());
  Decoded decoded = Decode(dir.path());
  SKIP_WITHOUT_PYTHON(decoded);
  EXPECT_EQ(decoded.status, 0);
  EXPECT_EQ(decoded.indexes, 3);
  EXPECT_GE(decoded.indexed_records, 10);
}

TEST(FormatDecodeTest, SeesDamage) {
  TempDir dir;
  {
    absl::StatusOr<std::unique_ptr<Log>> log = Log::Open(dir.path(), Options());
    ASSERT_OK(log);
    ASSERT_OK((*log)->AppendDurable("one record"));
    ASSERT_OK((*log)->Close());
  }
  Decoded decoded = Decode(dir.path());
  SKIP_WITHOUT_PYTHON(decoded);
  ASSERT_EQ(decoded.status, 0);
  FlipBitInFile(dir / "0000000000000001.seg", (4096 + 48 + 16) * 8);
  EXPECT_EQ(Decode(dir.path()).status, 1);
}

}  // namespace
}  // namespace seawall
