// SPDX-License-Identifier: Apache-2.0
// The decoder over any bytes: headers, control blocks, groups, records. It ends, stays inside what
// it was given, and what it takes for valid is what the encoder would have written.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "engine/format/format.h"
#include "engine/segments/segment_scanner.h"
#include "tests/fuzz/image.h"

namespace seawall {
namespace {

void Require(bool good, const char* what) {
  if (good) return;
  std::fprintf(stderr, "decoder_fuzzer: %s\n", what);
  std::abort();
}

class MemoryFile : public File {
 public:
  explicit MemoryFile(const std::string& bytes) : bytes_(bytes) {}

  IoResult PRead(void* to, size_t bytes, uint64_t offset) override {
    if (offset >= bytes_.size()) return {};
    const size_t count = std::min<size_t>(bytes, bytes_.size() - offset);
    std::memcpy(to, bytes_.data() + offset, count);
    return {0, count};
  }
  IoResult PWrite(const void*, size_t, uint64_t) override { return {EROFS, 0}; }
  int Sync(SyncKind) override { return EROFS; }
  int Size(uint64_t* bytes) override {
    *bytes = bytes_.size();
    return 0;
  }
  int TryLock() override { return EROFS; }
  int Unlock() override { return EROFS; }
  int Truncate(uint64_t) override { return EROFS; }

 private:
  const std::string& bytes_;
};

void DecodeHeader(const std::string& bytes, std::vector<uint64_t>* salts) {
  std::string block = bytes.substr(0, kSegmentHeaderBytes);
  block.resize(kSegmentHeaderBytes);
  SegmentHeader header, again;
  uint32_t version = 0;
  if (DecodeSegmentHeader(block.data(), &header, &version) != DecodeResult::kValid) return;
  salts->push_back(header.salt);
  EncodeSegmentHeader(header, block.data());
  Require(DecodeSegmentHeader(block.data(), &again, &version) == DecodeResult::kValid &&
              again == header,
          "a header changed by decoding and encoding");
}

void DecodeControl(const std::string& bytes, std::vector<uint64_t>* salts) {
  for (size_t at = 0; at < bytes.size(); at += kControlSlotBytes) {
    std::string slot = bytes.substr(at, kControlSlotBytes);
    slot.resize(kControlSlotBytes);
    ControlBlock block, again;
    uint32_t version = 0;
    if (DecodeControlBlock(slot.data(), &block, &version) != DecodeResult::kValid) continue;
    Require(block.entries.size() <= kMaxControlEntries, "too many entries");
    for (const ControlEntry& entry : block.entries) salts->push_back(entry.salt);
    EncodeControlBlock(block, slot.data());
    Require(
        DecodeControlBlock(slot.data(), &again, &version) == DecodeResult::kValid && again == block,
        "a control block changed by decoding and encoding");
  }
}

void WalkRecords(const Group& group, uint64_t salt, bool* good) {
  RecordCursor cursor(group.bytes, group.header, salt);
  Record record;
  uint64_t count = 0, end = kGroupHeaderBytes;
  RecordCursor::Result result;
  while ((result = cursor.Next(&record)) == RecordCursor::Result::kRecord) {
    const char* payload = record.payload.data();
    Require(cursor.record_offset() == end, "a record is not behind the one before");
    end += EncodedRecordBytes(record.payload.size());
    Require(end <= group.bytes.size() && payload >= group.bytes.data(), "a record out of bounds");
    Require(record.lsn == group.header.first_lsn + count, "an LSN out of order");
    std::string encoded(EncodedRecordBytes(record.payload.size()), '\0');
    EncodeRecord(record.payload, record.lsn, record.batch_continues ? kRecordBatchContinues : 0,
                 salt, encoded.data());
    Require(std::memcmp(encoded.data(), payload - kRecordHeaderBytes, encoded.size()) == 0,
            "a record changed by decoding and encoding");
    ++count;
  }
  *good = result == RecordCursor::Result::kEnd;
  Require(!*good || count == group.header.record_count, "records are missing");
  Require(*good || !cursor.error().empty(), "a bad record without a word");
  Require(cursor.Next(&record) == result, "the cursor went on");
}

void Scan(const std::string& bytes, uint64_t salt) {
  MemoryFile file(bytes);
  SegmentScanner scanner(&file, "file", salt);
  uint64_t at = kSegmentHeaderBytes;
  Group group;
  for (;;) {
    auto found = scanner.ReadGroup(at, bytes.size(), &group);
    Require(found.ok(), "reading memory failed");
    if (*found != SegmentScanner::Found::kGroup) break;
    Require(group.offset == at && group.end() > at && group.end() <= bytes.size() &&
                group.bytes.size() == group.header.group_bytes,
            "a group out of bounds");
    bool good = false;
    WalkRecords(group, salt, &good);
    Require(scanner.CheckRecords(group).ok() == good, "two opinions on a group");
    at = group.end();
  }
  for (uint64_t from : {kSegmentHeaderBytes, at}) {
    auto remnants = scanner.Survey(from, bytes.size());
    Require(remnants.ok(), "reading memory failed");
    Require(remnants->groups_end >= from && remnants->nonzero_end >= from &&
                std::max(remnants->groups_end, remnants->nonzero_end) <=
                    std::max<uint64_t>(from, bytes.size()),
            "remnants out of bounds");
    Require(from != kSegmentHeaderBytes || remnants->groups_end >= at,
            "a survey missed a group that a scan found");
  }
}

}  // namespace
}  // namespace seawall

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const seawall::Image image = seawall::Image::Parse(data, size);
  std::vector<uint64_t> salts;
  for (const seawall::ImageFile& file : image.files) {
    seawall::DecodeHeader(file.bytes, &salts);
    seawall::DecodeControl(file.bytes, &salts);
  }
  std::sort(salts.begin(), salts.end());
  salts.erase(std::unique(salts.begin(), salts.end()), salts.end());
  for (const seawall::ImageFile& file : image.files) {
    for (uint64_t salt : salts) seawall::Scan(file.bytes, salt);
  }
  return 0;
}
