// SPDX-License-Identifier: Apache-2.0
// Logs made of bytes, for tests of what reads them: every watermark and every salt is chosen, and
// no code of the engine above format.h takes part.
#ifndef SEAWALL_TESTS_SUPPORT_LOG_IMAGE_H_
#define SEAWALL_TESTS_SUPPORT_LOG_IMAGE_H_

#include <string>
#include <vector>

#include "engine/format/file_names.h"
#include "engine/format/format.h"
#include "engine/segments/segment_ref.h"
#include "tests/support/test_util.h"

namespace seawall {

class SegmentImage {
 public:
  explicit SegmentImage(const SegmentHeader& header)
      : header_(header), bytes_(kSegmentHeaderBytes, '\0'), next_lsn_(header.base_lsn) {
    EncodeSegmentHeader(header, bytes_.data());
  }

  // Appends a group with the next LSNs. `durable_lsn`: its watermark. With `batch`, its records are
  // one atomic batch.
  SegmentImage& Group(const std::vector<std::string>& records, Lsn durable_lsn,
                      uint64_t alignment = kGroupUnitBytes, bool batch = false) {
    GroupHeader group;
    group.record_count = static_cast<uint32_t>(records.size());
    group.first_lsn = next_lsn_;
    group.durable_lsn = durable_lsn;
    group.sealed_unix_micros = 1700000000000000 + static_cast<int64_t>(next_lsn_);
    std::string bytes(kGroupHeaderBytes, '\0');
    for (size_t i = 0; i < records.size(); ++i) {
      std::string record(EncodedRecordBytes(records[i].size()), '\0');
      const uint32_t flags = batch && i + 1 < records.size() ? kRecordBatchContinues : 0;
      EncodeRecord(records[i], next_lsn_++, flags, header_.salt, record.data());
      bytes += record;
    }
    bytes.resize(AlignUp(end() + bytes.size(), alignment) - end(), '\0');
    group.group_bytes = static_cast<uint32_t>(bytes.size());
    const uint64_t checksum = EncodeGroupHeader(group, header_.salt, end(), bytes.data());
    offsets_.push_back(end());
    digests_.push_back(digest_);
    digest_ = ExtendDigest(digest_, checksum);
    bytes_ += bytes;
    return *this;
  }

  // The next group begins with this record: a gap.
  SegmentImage& SkipTo(Lsn lsn) {
    next_lsn_ = lsn;
    return *this;
  }

  const SegmentHeader& header() const { return header_; }
  uint64_t end() const { return bytes_.size(); }
  uint64_t digest() const { return digest_; }
  Lsn last_lsn() const { return next_lsn_ - 1; }
  size_t groups() const { return offsets_.size(); }
  // Where group `i` begins, and the digest of those before it.
  uint64_t offset(size_t i) const { return offsets_[i]; }
  uint64_t digest_before(size_t i) const { return digests_[i]; }
  // The first byte of the payload of the first record of group `i`.
  uint64_t payload_offset(size_t i) const {
    return offsets_[i] + kGroupHeaderBytes + kRecordHeaderBytes;
  }

  // The file: the groups, then zeros up to `allocated`.
  std::string File(uint64_t allocated = 0) const {
    std::string file = bytes_;
    if (file.size() < allocated) file.resize(allocated, '\0');
    return file;
  }

  SegmentRef Ref(const std::string& directory) const {
    SegmentRef ref;
    ref.path = directory + "/" + SegmentName(header_.generation);
    ref.generation = header_.generation;
    ref.salt = header_.salt;
    ref.base_lsn = header_.base_lsn;
    ref.last_lsn = last_lsn();
    ref.end = end();
    ref.digest = digest_;
    return ref;
  }

 private:
  SegmentHeader header_;
  std::string bytes_;
  Lsn next_lsn_;
  uint64_t digest_ = 0;
  std::vector<uint64_t> offsets_;
  std::vector<uint64_t> digests_;
};

// The header of segment `generation`, behind `predecessor` if there is one.
inline SegmentHeader HeaderOf(uint64_t generation, const SegmentImage* predecessor = nullptr) {
  SegmentHeader header;
  header.log_id = {0x1111, 0x2222};
  header.generation = generation;
  header.salt = 0x5a17000000000000 + generation;
  header.state = SegmentState::kBegun;
  header.base_lsn = kFirstLsn;
  if (predecessor != nullptr) {
    header.base_lsn = predecessor->last_lsn() + 1;
    header.durable_lsn = predecessor->last_lsn();
    header.predecessor_generation = predecessor->header().generation;
    header.predecessor_end = predecessor->end();
    header.predecessor_digest = predecessor->digest();
  }
  header.created_unix_micros = 1700000000000000;
  return header;
}

// The payload that tests give record `lsn`.
inline std::string PayloadOf(Lsn lsn) { return "payload " + std::to_string(lsn); }

}  // namespace seawall

#endif  // SEAWALL_TESTS_SUPPORT_LOG_IMAGE_H_
