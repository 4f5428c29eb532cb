// SPDX-License-Identifier: Apache-2.0
#include "engine/recovery/segment_chain.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/format/file_names.h"
#include "engine/io/file_io.h"
#include "engine/recovery/segment_read_ahead.h"
#include "engine/segments/headerless_segment.h"

namespace seawall {
namespace {

class ChainReader {
 public:
  ChainReader(FileSystem* fs, const std::string& directory,
              const std::vector<uint64_t>& generations, const ControlBlock& control)
      : fs_(fs), directory_(directory), generations_(generations), control_(control) {
    chain_.sealed = SegmentList(directory);
  }

  absl::StatusOr<SegmentChain> Read() {
    absl::Status status = FindTail();
    if (status.ok()) status = WalkChain();
    if (!status.ok()) return status;
    return std::move(chain_);
  }

 private:
  absl::Status FindTail();
  absl::Status WalkChain();
  absl::StatusOr<SegmentFile> ReadSegment(uint64_t generation) const {
    return ReadSegmentFile(fs_, directory_, generation, &control_.log_id);
  }
  bool Exists(uint64_t generation) const;
  std::vector<uint64_t> Sealed() const;

  FileSystem* const fs_;
  const std::string& directory_;
  const std::vector<uint64_t>& generations_;  // descending
  const ControlBlock& control_;
  SegmentChain chain_;
};

bool ChainReader::Exists(uint64_t generation) const {
  return std::binary_search(generations_.rbegin(), generations_.rend(), generation);
}

// The files that may be of sealed segments, descending.
std::vector<uint64_t> ChainReader::Sealed() const {
  const auto above = [](uint64_t g, uint64_t bound) { return g > bound; };
  const auto begin =
      std::lower_bound(generations_.begin(), generations_.end(), chain_.tail.generation - 1, above);
  const auto end =
      std::lower_bound(begin, generations_.end(), control_.first_generation - 1, above);
  return {begin, end};
}

// The tail is the last segment that was begun.
absl::Status ChainReader::FindTail() {
  for (uint64_t generation : generations_) {
    if (generation < control_.first_generation) break;
    absl::StatusOr<SegmentFile> file = ReadSegment(generation);
    if (!file.ok()) return file.status();
    if (file->kind == FileKind::kBegun) {
      chain_.tail = std::move(*file);
      break;
    }
    // A spare, a preparation that was not finished, or damage. Without an entry in the control file
    // it never held a record, and may hold any bytes: after a power loss, sectors that were never
    // synced may show what some other file had there, an old header even.
    absl::Status status = CheckEntry(*file, control_);
    if (!status.ok()) return status;
    // A spare holds no group of its own salt, unless the write that began it was lost or torn.
    bool doubtful = file->kind != FileKind::kSpare;
    for (uint64_t offset : {kSegmentHeaderBytes, kSegmentHeaderBytes + kCursorAreaBytes}) {
      if (doubtful) break;
      absl::StatusOr<bool> begun =
          HasGroupAt(file->file.get(), file->path, file->bytes, offset, file->header.salt);
      if (!begun.ok()) return begun.status();
      doubtful = *begun;
    }
    if (doubtful) chain_.doubtful.push_back(std::move(*file));
  }
  const uint64_t known = control_.tail_generation;
  if (chain_.tail.file == nullptr || chain_.tail.generation < known) {
    if (!Exists(known)) {
      return MissingSegment(directory_, known, "it holds acknowledged records");
    }
    for (const SegmentFile& file : chain_.doubtful) {
      if (file.generation != known) continue;
      if (file.kind == FileKind::kForeign) return ForeignSegment(file, control_.log_id);
      if (file.kind == FileKind::kMislabelled) return MislabelledSegment(file);
    }
    return DamageStatus(
        JoinPath(directory_, SegmentName(known)), 0,
        "expected the header of a segment that was begun, found none that is valid");
  }
  for (const ControlEntry& entry : control_.entries) {
    if (entry.generation > chain_.tail.generation && !Exists(entry.generation)) {
      return MissingSegment(directory_, entry.generation, "it was prepared and may hold records");
    }
  }
  return CheckEntry(chain_.tail, control_);
}

// From the tail back to the first retained segment, by what each header says of the one before.
absl::Status ChainReader::WalkChain() {
  SegmentHeader next = chain_.tail.header;
  SegmentReadAhead headers(fs_, directory_, &control_.log_id, Sealed());
  while (next.predecessor_generation != 0 &&
         next.predecessor_generation >= control_.first_generation) {
    const uint64_t generation = next.predecessor_generation;
    if (!Exists(generation)) {
      return MissingSegment(directory_, generation,
                            absl::StrCat("it ends with record ", next.base_lsn - 1));
    }
    absl::StatusOr<SegmentFile> file = headers.Read(generation);
    if (!file.ok()) return file.status();
    absl::StatusOr<SegmentEntry> entry = PredecessorOf(next, *file, control_.log_id);
    if (!entry.ok()) return entry.status();
    chain_.sealed.PushFront(*entry);
    next = file->header;
  }
  return absl::OkStatus();
}

}  // namespace

SegmentEntry EntryOf(const SegmentFile& file, Lsn last_lsn, uint64_t end, uint64_t digest) {
  SegmentEntry entry;
  entry.generation = file.generation;
  entry.salt = file.header.salt;
  entry.base_lsn = file.header.base_lsn;
  entry.last_lsn = last_lsn;
  entry.end = end;
  entry.digest = digest;
  entry.file_bytes = file.bytes;
  entry.has_cursors = file.header.cursors;
  return entry;
}

absl::StatusOr<SegmentEntry> PredecessorOf(const SegmentHeader& next, const SegmentFile& file,
                                           const LogId& log_id) {
  absl::Status status = CheckSealed(file, log_id);
  if (!status.ok()) return status;
  if (file.bytes < next.predecessor_end) {
    return DamageStatus(file.path, file.bytes,
                        absl::StrCat("expected ", next.predecessor_end,
                                     " bytes of groups, found the end of the file"));
  }
  if (file.header.base_lsn >= next.base_lsn || file.generation >= next.generation) {
    return DamageStatus(file.path, kBaseLsnOffset,
                        absl::StrCat("expected a first record below ", next.base_lsn, ", found ",
                                     file.header.base_lsn));
  }
  return EntryOf(file, next.base_lsn - 1, next.predecessor_end, next.predecessor_digest);
}

absl::StatusOr<SegmentChain> ReadChain(FileSystem* fs, const std::string& directory,
                                       const std::vector<uint64_t>& generations,
                                       const ControlBlock& control) {
  return ChainReader(fs, directory, generations, control).Read();
}

}  // namespace seawall
