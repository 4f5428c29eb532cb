// SPDX-License-Identifier: Apache-2.0
// The bytes on disk, as FORMAT.md specifies them: pure encoding and decoding, no I/O, no policy.
// All integers are little-endian.
#ifndef SEAWALL_ENGINE_FORMAT_FORMAT_H_
#define SEAWALL_ENGINE_FORMAT_FORMAT_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/align.h"
#include "seawall/identity.h"
#include "seawall/types.h"

namespace seawall {

inline constexpr uint32_t kFormatVersion = 1;
inline constexpr uint64_t kSegmentHeaderBytes = 4096;  // groups begin here, or behind the cursors
inline constexpr uint64_t kHeaderCopyOffset = 3584;    // the last sector of the header block
inline constexpr uint64_t kCursorSlotBytes = 4096;
inline constexpr uint64_t kCursorSlots = 2;
inline constexpr uint64_t kCursorAreaBytes = kCursorSlots * kCursorSlotBytes;
inline constexpr uint64_t kGroupHeaderBytes = 48;
inline constexpr uint64_t kRecordHeaderBytes = 16;
inline constexpr uint64_t kGroupUnitBytes = 8;  // groups begin and end at multiples of this
inline constexpr uint64_t kControlSlotBytes = 4096;
inline constexpr uint64_t kControlSlots = 3;
inline constexpr size_t kMaxControlEntries = 8;
inline constexpr uint64_t kMaxControlUsedBytes = 560;  // of a slot; all else is zero
// LSNs, generations, offsets and sequences are below this, whatever a checksum says: sums of them
// do not wrap around, and a generation fits its name. (A million records a second for 285 years.)
inline constexpr uint64_t kMaxNumber = uint64_t{1} << 53;

// Where a field is in its sector: what an error text calls the offset of what is wrong.
inline constexpr uint64_t kLogIdOffset = 16;       // of segment headers, CONTROL and WATERMARK
inline constexpr uint64_t kGenerationOffset = 32;  // this and the next ones: of segment headers
inline constexpr uint64_t kSaltOffset = 40;
inline constexpr uint64_t kBaseLsnOffset = 56;
inline constexpr uint64_t kPredecessorGenerationOffset = 72;

// ---- Segment header: one block, twice in it (first and last sector).

enum class SegmentState : uint32_t {
  kSpare = 0,  // prepared, holds no record; the fields below `state` are zero
  kBegun = 1,
};

struct SegmentHeader {
  LogId log_id = {};
  uint64_t generation = 0;
  uint64_t salt = 0;
  SegmentState state = SegmentState::kSpare;
  // The file was part of the log before: behind its groups are old bytes, not zeros.
  bool recycled = false;
  // Behind the header are the slots of the cursors' table (cursor_table.h), then the groups. A
  // spare does not know yet.
  bool cursors = false;
  Lsn base_lsn = 0;
  // All records up to here were durable when this header was written.
  Lsn durable_lsn = 0;
  // Where the log before this segment ends: at `predecessor_end` of that generation, with record
  // base_lsn - 1. 0: the log begins here.
  uint64_t predecessor_generation = 0;
  uint64_t predecessor_end = 0;
  uint64_t predecessor_digest = 0;
  int64_t created_unix_micros = 0;

  uint64_t groups_begin() const {
    return cursors ? kSegmentHeaderBytes + kCursorAreaBytes : kSegmentHeaderBytes;
  }

  friend bool operator==(const SegmentHeader& a, const SegmentHeader& b);
};

enum class DecodeResult {
  kValid,
  kZero,     // nothing but zeros where it should be
  kInvalid,  // something else
  kNewer,    // the magic is ours, the version or a feature flag is not known
};

// Fills a block of kSegmentHeaderBytes.
void EncodeSegmentHeader(const SegmentHeader& header, char* block);
// Decodes a block. A begun copy wins over a spare one: the sectors of the write that begins a
// segment may be torn apart by a crash. For kNewer, *found_version is set.
DecodeResult DecodeSegmentHeader(const char* block, SegmentHeader* header, uint32_t* found_version);

// ---- Group: the unit of a flush.

struct GroupHeader {
  uint32_t group_bytes = 0;  // this header, the records, and padding up to the next group
  uint32_t record_count = 0;
  Lsn first_lsn = 0;
  // The durable watermark when the group was sealed.
  Lsn durable_lsn = 0;
  int64_t sealed_unix_micros = 0;

  Lsn last_lsn() const { return first_lsn + record_count - 1; }
};

inline constexpr char kGroupMagic[4] = {'S', 'W', 'G', 'R'};

// What every group header has, and few other bytes: spares a search the hash.
inline bool HasGroupMagic(const char* from) {
  return std::memcmp(from + 8, kGroupMagic, sizeof(kGroupMagic)) == 0;
}

// Returns the header's checksum, for SegmentDigest.
uint64_t EncodeGroupHeader(const GroupHeader& header, uint64_t salt, uint64_t file_offset,
                           char* to);
// True iff `from` (kGroupHeaderBytes of it) is a group header of the segment with this salt, at
// this offset.
bool DecodeGroupHeader(const char* from, uint64_t salt, uint64_t file_offset, GroupHeader* header,
                       uint64_t* checksum);

// The digest of a segment: its group headers' checksums, folded in order. 0 without groups.
uint64_t ExtendDigest(uint64_t digest, uint64_t group_checksum);

// ---- Record

inline constexpr uint32_t kRecordBatchContinues = 1;  // all but the last of an atomic batch
inline constexpr uint32_t kKnownRecordFlags = kRecordBatchContinues;

inline uint64_t EncodedRecordBytes(size_t payload_bytes) {
  return kRecordHeaderBytes + payload_bytes;
}
// Writes header and payload; `to` has room for EncodedRecordBytes(payload.size()).
void EncodeRecord(std::string_view payload, Lsn lsn, uint32_t flags, uint64_t salt, char* to);

// The length of the payload, as the header at `from` (kRecordHeaderBytes of it) says: nothing is
// verified.
uint32_t RecordLength(const char* from);

// Walks the records of one group. `group` is the whole group, header included.
class RecordCursor {
 public:
  RecordCursor() = default;
  RecordCursor(std::string_view group, const GroupHeader& header, uint64_t salt);

  enum class Result { kRecord, kEnd, kBad };
  // kBad for good at the first record that does not verify; see error().
  Result Next(Record* record);

  // Where in the group the record begins that Next() returned last, or that is bad.
  uint64_t record_offset() const { return static_cast<uint64_t>(record_ - group_); }
  // What is wrong: "expected ..., found ...".
  const std::string& error() const { return error_; }

 private:
  Result Bad();

  const char* group_ = nullptr;
  const char* at_ = nullptr;  // the record after the one that Next() returned last
  const char* end_ = nullptr;
  const char* record_ = nullptr;
  Lsn next_lsn_ = 0;
  uint32_t left_ = 0;  // 0 for good behind a bad one
  uint64_t salt_ = 0;
  int64_t sealed_unix_micros_ = 0;
  std::string error_;
};

// ---- Salvage: what bytes tell whose surroundings are damaged.

// Fills *record with the record that `bytes` begin with, if its length fits in and its flags are
// known. Its LSN is the one for which its checksum is right. Bytes that are no record of a segment
// with this salt get a number that is as good as random: who calls knows which LSNs can be there.
bool FindRecord(std::string_view bytes, uint64_t salt, Record* record);

// The salt for which the checksum of the group header at `from` is right, at this offset. It takes
// a second witness (a record) to prove that it is one.
uint64_t SaltOfGroup(const char* from, uint64_t file_offset);

// ---- Control file: facts that are known to be durable, in slots written in turn.

// A segment that is prepared but not known to be sealed: it must be there, this long, with this
// salt.
struct ControlEntry {
  uint64_t generation = 0;
  uint64_t salt = 0;
  uint64_t allocated_bytes = 0;

  friend bool operator==(const ControlEntry& a, const ControlEntry& b) {
    return a.generation == b.generation && a.salt == b.salt &&
           a.allocated_bytes == b.allocated_bytes;
  }
};

struct ControlBlock {
  LogId log_id = {};
  uint64_t sequence = 0;
  // Segments below this were trimmed.
  uint64_t first_generation = 0;
  // Segment `tail_generation` was begun, and while it was the last one, all records up to
  // durable_lsn were durable.
  uint64_t tail_generation = 0;
  Lsn durable_lsn = 0;
  // Set by a clean close: the log ends at closed_end of segment tail_generation, with durable_lsn.
  bool closed = false;
  uint64_t closed_end = 0;
  uint64_t closed_digest = 0;
  // A table of cursors with this sequence, or a later one, is durable in the last segments.
  uint64_t cursor_sequence = 0;
  std::vector<ControlEntry> entries;  // at most kMaxControlEntries, generations ascending
  std::string metadata;               // the user's; at most kMaxMetadataBytes

  friend bool operator==(const ControlBlock& a, const ControlBlock& b);
};

// Fills a slot of kControlSlotBytes.
void EncodeControlBlock(const ControlBlock& block, char* slot);
DecodeResult DecodeControlBlock(const char* slot, ControlBlock* block, uint32_t* found_version);

// ---- Watermark: what readers in other processes may see. Never synced; recovery does not read it.

inline constexpr uint64_t kWatermarkBytes = 96;

struct WatermarkBlock {
  LogId log_id = {};
  uint64_t sequence = 0;
  // Of segment `generation`, what is before `end` is durable: the records up to durable_lsn.
  uint64_t generation = 0;
  uint64_t end = 0;
  Lsn durable_lsn = 0;
  // Truncations so far, counted on from a random multiple of kCutCountStep that whoever made the
  // file chose; the first record that the last one gave up, 0 for all; and the generation that was
  // written to before. While that equals `generation`, the truncation is under way.
  uint64_t cuts = 0;
  Lsn first_cut = 0;
  uint64_t cut_generation = 0;

  bool cut_under_way() const { return cuts > 0 && generation <= cut_generation; }
};

// More truncations than a file tells of. Counts of two files have this in between, or more.
inline constexpr uint64_t kCutCountStep = uint64_t{1} << 20;

// Fills kWatermarkBytes.
void EncodeWatermark(const WatermarkBlock& block, char* to);
DecodeResult DecodeWatermark(const char* from, WatermarkBlock* block, uint32_t* found_version);

}  // namespace seawall

#endif  // SEAWALL_ENGINE_FORMAT_FORMAT_H_
