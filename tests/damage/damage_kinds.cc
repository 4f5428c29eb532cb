// SPDX-License-Identifier: Apache-2.0
#include "tests/damage/damage_kinds.h"

#include <algorithm>
#include <set>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/format/format.h"
#include "tests/support/seed.h"

namespace seawall {
namespace {

bool EveryBit() { return EnvironmentOr("SEAWALL_DAMAGE_EVERY_BIT", 0) != 0; }

// Where a segment's structures begin and end.
struct Layout {
  std::vector<bool> dense;  // bytes of which each bit is flipped
  std::set<uint64_t> boundaries;
  uint64_t end = 0;  // of its groups
};

Layout LayoutOf(const std::string& path, const std::string& bytes) {
  Layout layout;
  layout.dense.resize(bytes.size());
  const auto mark = [&](uint64_t from, uint64_t count) {
    for (uint64_t i = from; i < std::min<uint64_t>(from + count, bytes.size()); ++i) {
      layout.dense[i] = true;
    }
    layout.boundaries.insert(from);
    layout.boundaries.insert(from + count);
    layout.end = std::max(layout.end, from + count);
  };
  if (!IsSegment(path)) {
    // 296 bytes of each slot bear information, and 560 of one with metadata; all of the LOCK file
    // is text.
    for (uint64_t slot = 0; slot < bytes.size(); slot += kControlSlotBytes) {
      const bool has_metadata = slot + 12 < bytes.size() && (bytes[slot + 12] & 1) != 0;
      mark(slot, has_metadata ? kMaxControlUsedBytes : 296);
    }
    return layout;
  }
  mark(0, 112);
  mark(kHeaderCopyOffset, 112);
  SegmentHeader header;
  if (!HeaderOf(bytes, &header)) return layout;
  uint64_t at = header.groups_begin();
  for (uint64_t slot = kSegmentHeaderBytes; slot < at; slot += kCursorSlotBytes) {
    mark(slot, 32 + 2 * 56);  // two cursors; the checksum is over the zeros, too
  }
  layout.end = at;
  GroupHeader group;
  uint64_t checksum;
  while (at + kGroupHeaderBytes <= bytes.size() &&
         DecodeGroupHeader(bytes.data() + at, header.salt, at, &group, &checksum)) {
    mark(at, kGroupHeaderBytes);
    RecordCursor cursor(std::string_view(bytes).substr(at, group.group_bytes), group, header.salt);
    Record record;
    while (cursor.Next(&record) == RecordCursor::Result::kRecord) {
      mark(at + cursor.record_offset(),
           kRecordHeaderBytes + std::min<size_t>(64, record.payload.size()));
      layout.boundaries.insert(at + cursor.record_offset() + kRecordHeaderBytes +
                               record.payload.size());
    }
    at += group.group_bytes;
    layout.boundaries.insert(at);
    layout.end = at;
  }
  return layout;
}

}  // namespace

Damages::Damages(const Subject& subject, uint64_t thinning)
    : subject_(subject), thinning_(thinning) {
  for (const auto& [path, bytes] : subject.files) {
    AddBits(path, bytes);
    AddSectors(path, bytes);
    AddLengths(path, bytes);
  }
  AddFiles();
}

void Damages::Add(Damage::Kind kind, std::string what, std::function<int(CrashFileSystem*)> apply,
                  bool in_payload_or_zeros) {
  // Of the rare kinds more is left.
  const bool rare = kind != Damage::kBit && kind != Damage::kLength;
  if (thinning_ == 1 || Mix(++considered_) % (rare ? thinning_ / 8 : thinning_) == 0) {
    all_.push_back({kind, std::move(what), std::move(apply), in_payload_or_zeros});
  }
}

void Damages::AddBits(const std::string& path, const std::string& bytes) {
  const Layout layout = LayoutOf(path, bytes);
  for (uint64_t i = 0; i < bytes.size(); ++i) {
    // Zeros that nothing tells apart: everywhere in some logs, and far behind the groups.
    uint64_t step = i >= layout.end + kBlockBytes          ? 61
                    : subject_.depth == Subject::kThorough ? 1
                                                           : 13;
    if (layout.dense[i] || bytes[i] != 0) step = 1;
    if (subject_.depth == Subject::kCoarse) step = layout.dense[i] ? 8 : 6007;
    if (!EveryBit() && Mix(i) / 8 % step != 0) continue;
    const uint64_t only = Mix(i) % 8;
    for (uint64_t bit = 0; bit < 8; ++bit) {
      if ((!layout.dense[i] || step > 1) && !EveryBit() && bit != only) continue;
      Add(
          Damage::kBit, absl::StrCat("bit ", bit, " of byte ", i, " of ", path, " flipped"),
          [path, at = 8 * i + bit](CrashFileSystem* disk) { return disk->FlipBit(path, at); },
          !layout.dense[i]);
    }
  }
}

void Damages::AddSectors(const std::string& path, const std::string& bytes) {
  for (uint64_t at = 0; at < bytes.size(); at += kSectorBytes) {
    const uint64_t count = std::min<uint64_t>(kSectorBytes, bytes.size() - at);
    if (bytes.find_first_not_of('\0', at) >= at + count) continue;  // zeros already
    if (subject_.depth == Subject::kCoarse && at > 3 * kBlockBytes && Mix(at) % 64 != 0) continue;
    Add(Damage::kSector, absl::StrCat(count, " bytes at ", at, " of ", path, " zeroed"),
        [path, at, count](CrashFileSystem* disk) { return disk->ZeroBytes(path, at, count); });
  }
}

void Damages::AddLengths(const std::string& path, const std::string& bytes) {
  const Layout layout = LayoutOf(path, bytes);
  const uint64_t step = subject_.depth == Subject::kCoarse ? 65536 : 64;
  const uint64_t near = subject_.depth == Subject::kCoarse ? 1 : 9;
  std::set<uint64_t> lengths;
  for (uint64_t length = 0; length < bytes.size(); length += step) lengths.insert(length);
  for (uint64_t boundary : layout.boundaries) {
    for (uint64_t length = boundary - std::min(boundary, near); length < boundary + near;
         ++length) {
      lengths.insert(length);
    }
  }
  lengths.erase(lengths.lower_bound(bytes.size()), lengths.end());
  for (uint64_t length : lengths) {
    Add(Damage::kLength, absl::StrCat(path, " truncated to ", length, " bytes"),
        [path, length](CrashFileSystem* disk) { return disk->SetLength(path, length); });
  }
}

void Damages::AddFiles() {
  for (const auto& file : subject_.files) {
    const std::string& path = file.first;
    Add(Damage::kDelete, absl::StrCat(path, " deleted"),
        [path](CrashFileSystem* disk) { return disk->DeleteFile(path); });
    for (const auto& other_file : subject_.files) {
      const std::string& other = other_file.first;
      if (path == other) continue;
      Add(Damage::kDuplicate, absl::StrCat(path, " copied over ", other),
          [path, other](CrashFileSystem* disk) { return disk->CopyFile(path, other); });
      if (path < other) {
        Add(Damage::kSwap, absl::StrCat(path, " and ", other, " swapped"),
            [path, other](CrashFileSystem* disk) { return disk->SwapFiles(path, other); });
      }
    }
  }
  for (const auto& [path, versions] : subject_.earlier) {
    for (size_t i = 0; i < versions.size(); ++i) {
      const std::string& version = versions[i];
      Add(Damage::kStale, absl::StrCat(path, " as it was in version ", i),
          [path = path, version](CrashFileSystem* disk) { return disk->PutFile(path, version); });
    }
  }
}

}  // namespace seawall
