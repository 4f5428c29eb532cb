// SPDX-License-Identifier: Apache-2.0
#include "tools/seawall/salvage/salvage_plan.h"

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/format/cursor_table.h"
#include "engine/format/file_names.h"
#include "engine/format/format.h"
#include "engine/io/file_io.h"
#include "engine/recovery/recovery_plan.h"
#include "seawall/file_system.h"

namespace seawall {
namespace {

constexpr uint64_t kHeaderUsedBytes = 112;

constexpr char kMayBeCut[] =
    "this segment is not there; if a truncation began it, what that cut off comes back from the "
    "segment before";

struct Candidate {
  std::string path;
  std::optional<uint64_t> named;  // the generation that its name says
  SegmentHeader header;
  bool header_lost = false;
  bool base_is_certain = true;
  bool committed = true;  // something proves that it was begun
};

// Flips each bit of bytes[from, from + count) until `good`, and leaves it so. False: as it was.
bool CorrectOneBit(std::string* bytes, uint64_t from, uint64_t count,
                   const std::function<bool()>& good, uint64_t* at) {
  for (uint64_t bit = 8 * from; bit < 8 * std::min<uint64_t>(from + count, bytes->size()); ++bit) {
    char& byte = (*bytes)[bit / 8];
    const char before = byte;
    byte = static_cast<char>(byte ^ (1 << (bit % 8)));
    *at = bit / 8;
    if (good()) return true;
    byte = before;
  }
  return false;
}

std::optional<ControlBlock> SlotAt(const std::string& bytes, uint64_t at) {
  ControlBlock block;
  uint32_t version;
  if (at + kControlSlotBytes > bytes.size() ||
      DecodeControlBlock(bytes.data() + at, &block, &version) != DecodeResult::kValid) {
    return std::nullopt;
  }
  return block;
}

std::optional<ControlBlock> NewestSlot(const std::string& bytes) {
  std::optional<ControlBlock> newest;
  for (uint64_t slot = 0; slot < kControlSlots; ++slot) {
    std::optional<ControlBlock> block = SlotAt(bytes, slot * kControlSlotBytes);
    if (block.has_value() && (!newest.has_value() || newest->sequence < block->sequence)) {
      newest = std::move(block);
    }
  }
  return newest;
}

// The first group that is left in a file without a header.
struct FirstGroup {
  uint64_t salt = 0;
  uint64_t offset = 0;
  Lsn lsn = 0;
};

// With a salt that both a group's header and its first record agree on.
std::optional<FirstGroup> ProvenGroup(const std::string& bytes) {
  for (uint64_t at = kSegmentHeaderBytes; at + kGroupHeaderBytes <= bytes.size();
       at += kGroupUnitBytes) {
    if (!HasGroupMagic(bytes.data() + at)) continue;
    const uint64_t salt = SaltOfGroup(bytes.data() + at, at);
    GroupHeader group;
    uint64_t checksum;
    Record record;
    if (DecodeGroupHeader(bytes.data() + at, salt, at, &group, &checksum) &&
        FindRecord(std::string_view(bytes).substr(at + kGroupHeaderBytes), salt, &record) &&
        record.lsn == group.first_lsn) {
      return FirstGroup{salt, at, group.first_lsn};
    }
  }
  return std::nullopt;
}

// With a salt that is known.
std::optional<FirstGroup> GroupOf(const std::string& bytes, uint64_t salt) {
  for (uint64_t at = kSegmentHeaderBytes; at + kGroupHeaderBytes <= bytes.size();
       at += kGroupUnitBytes) {
    GroupHeader group;
    uint64_t checksum;
    if (DecodeGroupHeader(bytes.data() + at, salt, at, &group, &checksum)) {
      return FirstGroup{salt, at, group.first_lsn};
    }
  }
  return std::nullopt;
}

// True if no group can have been before this one. Groups begin directly after the header, or after
// the cursors' slots, if the segment has these.
bool BeginsSegment(const std::string& bytes, const FirstGroup& group) {
  if (group.lsn == kFirstLsn || group.offset == kSegmentHeaderBytes) return true;
  if (group.offset != kSegmentHeaderBytes + kCursorAreaBytes) return false;
  CursorTable table;
  return DecodeCursorSlot(bytes.data() + kSegmentHeaderBytes, group.salt, kSegmentHeaderBytes,
                          &table) ||
         DecodeCursorSlot(bytes.data() + kSegmentHeaderBytes + kCursorSlotBytes, group.salt,
                          kSegmentHeaderBytes + kCursorSlotBytes, &table);
}

class Planner {
 public:
  explicit Planner(std::string directory) : directory_(std::move(directory)) {}

  absl::StatusOr<SalvagePlan> Run() {
    absl::Status status = AskRecovery();
    if (status.ok()) status = ListFiles();
    if (status.ok()) status = ReadControls();
    if (status.ok()) status = ReadHeaders();
    if (!status.ok()) return status;
    Select();
    if (plan_.sources.empty() && absl::IsNotFound(plan_.opens)) return plan_.opens;
    Bound();
    FindMissing();
    FindShortened();
    return std::move(plan_);
  }

 private:
  void Add(std::string kind, const std::string& path, uint64_t offset, std::string what,
           LsnRange records = {}, bool lost = false, bool corrected = false) {
    plan_.damage.push_back(
        {std::move(kind), path, offset, records, std::move(what), lost, corrected});
  }

  absl::Status AskRecovery() {
    absl::StatusOr<RecoveryPlan> plan = PlanReadOnly(FileSystem::Posix(), directory_);
    plan_.opens = plan.status();
    if (absl::IsUnimplemented(plan_.opens) || absl::IsPermissionDenied(plan_.opens)) {
      return plan_.opens;
    }
    if (plan.ok()) plan_.opens_last_lsn = plan->report.last_lsn;
    return absl::OkStatus();
  }

  absl::Status ListFiles() {
    std::vector<std::string> names;
    const int error = FileSystem::Posix()->List(directory_, &names);
    if (error != 0) return ErrnoStatus(error, "list", directory_);
    std::sort(names.begin(), names.end());
    for (const std::string& name : names) {
      FileInfo info;
      const std::string path = JoinPath(directory_, name);
      if (FileSystem::Posix()->Stat(path, &info) == 0 && info.is_regular) names_.push_back(name);
    }
    return absl::OkStatus();
  }

  // That of CONTROL; else, of any file, for it may bear another's name.
  absl::Status ReadControls() {
    const std::string path = JoinPath(directory_, kControlName);
    if (std::count(names_.begin(), names_.end(), kControlName) > 0) {
      absl::StatusOr<std::string> bytes = ReadForSalvage(path, &plan_.damage);
      if (!bytes.ok()) return bytes.status();
      bytes->resize(std::max<size_t>(bytes->size(), kControlSlots * kControlSlotBytes));
      plan_.control = NewestSlot(*bytes);
      CorrectControl(path, &*bytes);
    }
    if (plan_.control.has_value()) return absl::OkStatus();
    for (const std::string& name : names_) {
      absl::StatusOr<std::string> bytes = ReadHead(name, kControlSlots * kControlSlotBytes);
      if (!bytes.ok()) continue;
      std::optional<ControlBlock> block = NewestSlot(*bytes);
      if (!block.has_value()) continue;
      Add("swapped", JoinPath(directory_, name), 0, "this file is what CONTROL should be");
      plan_.control = block;
      return absl::OkStatus();
    }
    Add("no_control", path, 0,
        "no valid copy of what the log knows of itself: only the segments say which of them were "
        "trimmed, and how far the log went; whether more was acknowledged is not known");
    plan_.damage.back().uncertain = true;
    return absl::OkStatus();
  }

  // Looks for one flipped bit in the slots of which any may be the newest: all of them if none is
  // valid, else the one that comes after the newest valid one.
  void CorrectControl(const std::string& path, std::string* bytes) {
    const bool any = plan_.control.has_value();
    for (uint64_t slot = 0; slot < kControlSlots; ++slot) {
      if (any && slot != (plan_.control->sequence + 1) % kControlSlots) continue;
      const auto good = [&] { return SlotAt(*bytes, slot * kControlSlotBytes).has_value(); };
      if (good()) continue;
      uint64_t at = 0;
      if (CorrectOneBit(bytes, slot * kControlSlotBytes, kMaxControlUsedBytes, good, &at)) {
        Add("bit_corrected", path, at, "one bit of a slot of CONTROL", {}, false, true);
      } else if (any) {
        Add("unreadable", path, slot * kControlSlotBytes,
            "a slot of CONTROL that may have been written last: it may have known of more");
        plan_.damage.back().uncertain = true;
      }
    }
    plan_.control = NewestSlot(*bytes);
  }

  absl::StatusOr<std::string> ReadHead(const std::string& name, size_t count) const {
    const std::string path = JoinPath(directory_, name);
    absl::StatusOr<std::unique_ptr<File>> file = OpenFile(FileSystem::Posix(), path, OpenOptions());
    if (!file.ok()) return file.status();
    std::string bytes(count, '\0');
    absl::StatusOr<size_t> got = ReadAt(file->get(), path, 0, count, bytes.data());
    // Both copies of a header stand in one block: what cannot be read is judged by what is behind.
    if (!got.ok()) return std::string(count, '\0');
    return bytes;
  }

  absl::Status ReadHeaders() {
    for (const std::string& name : names_) {
      if (name == kControlTemporaryName) continue;
      absl::StatusOr<std::string> block = ReadHead(name, kSegmentHeaderBytes);
      if (!block.ok()) return block.status();
      Candidate candidate;
      candidate.path = JoinPath(directory_, name);
      candidate.named = ParseSegmentName(name);
      uint32_t version = 0;
      DecodeResult result = DecodeSegmentHeader(block->data(), &candidate.header, &version);
      const bool spare =
          result == DecodeResult::kValid && candidate.header.state == SegmentState::kSpare &&
          candidate.header.generation == candidate.named &&
          (!plan_.control.has_value() || candidate.header.log_id == plan_.control->log_id);
      if (spare) {
        absl::Status status = FindSalt(candidate.header.salt, &candidate);
        if (!status.ok()) return status;
      } else if (result == DecodeResult::kValid) {
        candidates_.push_back(candidate);
      } else if (candidate.named.has_value() && !CorrectHeader(&*block, &candidate)) {
        absl::Status status = FindSalt(std::nullopt, &candidate);
        if (!status.ok()) return status;
      }
    }
    return absl::OkStatus();
  }

  bool CorrectHeader(std::string* block, Candidate* candidate) {
    uint32_t version = 0;
    const auto good = [&] {
      return DecodeSegmentHeader(block->data(), &candidate->header, &version) ==
             DecodeResult::kValid;
    };
    uint64_t at = 0;
    if (!CorrectOneBit(block, 0, kHeaderUsedBytes, good, &at) &&
        !CorrectOneBit(block, kHeaderCopyOffset, kHeaderUsedBytes, good, &at)) {
      return false;
    }
    Add("bit_corrected", candidate->path, at, "one bit of the segment's header", {}, false, true);
    candidates_.push_back(*candidate);
    return true;
  }

  // Without a header CONTROL may know the salt, or the groups themselves prove it. A spare holds no
  // group of its own salt, unless the block of its header was lost when it was begun. Where the
  // salt is known, groups of another one are of an earlier life of the file.
  absl::Status FindSalt(std::optional<uint64_t> spare_salt, Candidate* candidate) {
    SegmentHeader header;
    header.generation = *candidate->named;
    header.state = SegmentState::kBegun;
    absl::StatusOr<std::string> bytes = ReadForSalvage(candidate->path, &plan_.damage);
    if (!bytes.ok()) return bytes.status();
    candidate->committed = false;
    std::optional<uint64_t> salt = spare_salt;
    if (plan_.control.has_value()) {
      header.log_id = plan_.control->log_id;
      candidate->committed = plan_.control->tail_generation >= header.generation;
      for (const ControlEntry& entry : plan_.control->entries) {
        if (entry.generation != header.generation) continue;
        candidate->committed = true;
        if (!salt.has_value()) salt = entry.salt;
      }
    }
    const std::optional<FirstGroup> group =
        salt.has_value() ? GroupOf(*bytes, *salt) : ProvenGroup(*bytes);
    if (!group.has_value()) {
      if (spare_salt.has_value()) {
        candidates_.push_back(*candidate);
      } else if (bytes->find_first_not_of('\0', kSegmentHeaderBytes) != std::string::npos) {
        unproven_.push_back(*candidate);
      }
      return absl::OkStatus();
    }
    header.salt = group->salt;
    header.base_lsn = group->lsn;
    candidate->header = header;
    candidate->header_lost = true;
    candidate->base_is_certain = BeginsSegment(*bytes, *group);
    candidates_.push_back(*candidate);
    return absl::OkStatus();
  }

  // CONTROL's, or that of most segments.
  LogId LogIdOfMost() const {
    if (plan_.control.has_value()) return plan_.control->log_id;
    std::map<LogId, size_t> count;
    LogId most = {};
    for (const Candidate& candidate : candidates_) {
      if (candidate.header_lost) continue;
      if (++count[candidate.header.log_id] > count[most]) most = candidate.header.log_id;
    }
    return most;
  }

  // Which candidates are segments of this log, one of each generation.
  void Select() {
    const LogId log_id = LogIdOfMost();
    const uint64_t first = plan_.control.has_value() ? plan_.control->first_generation : 0;
    for (Candidate& candidate : candidates_) {
      const SegmentHeader& header = candidate.header;
      const bool at_home = candidate.named == header.generation;
      if (!candidate.header_lost && header.log_id != log_id) {
        Add("foreign", candidate.path, 0,
            absl::StrCat("a segment of another log, ", LogIdToString(header.log_id)));
        continue;
      }
      if (header.generation < first) continue;  // trimmed
      if (!at_home) {
        Add("swapped", candidate.path, 0,
            absl::StrCat("the file holds segment ", header.generation));
      }
      if (header.state != SegmentState::kBegun) continue;
      const auto [known, is_new] = chosen_.emplace(header.generation, candidate);
      if (is_new) continue;
      const bool better = known->second.header_lost || (at_home && !candidate.header_lost);
      Add("duplicate", better ? known->second.path : candidate.path, 0,
          absl::StrCat("segment ", header.generation, " is there twice: ",
                       better ? candidate.path : known->second.path, " is used"));
      if (better) known->second = candidate;
    }
    for (const auto& [generation, candidate] : chosen_) {
      const SegmentHeader& header = candidate.header;
      plan_.sources.push_back({candidate.path, generation, header.salt, header.base_lsn,
                               header.predecessor_generation, header.durable_lsn,
                               candidate.header_lost, candidate.base_is_certain});
    }
  }

  bool IsCommitted(const SalvageSource& source) const {
    return chosen_.at(source.generation).committed || IsNamed(source.generation);
  }

  // A segment that was begun later replaces what older ones hold from its base on: it was cut off,
  // or copied. One without a header that nothing vouches for may be of a truncation that did not
  // happen: it only adds.
  void Bound() {
    Lsn last = kMaxNumber;
    const SalvageSource* next = nullptr;
    bool begins_the_log = false;
    std::vector<SalvageSource> kept;
    std::reverse(plan_.sources.begin(), plan_.sources.end());
    for (SalvageSource& source : plan_.sources) {
      if (begins_the_log) {
        Add("stale", source.path, 0, "the log was reset, and begins with a later segment");
        continue;
      }
      if (source.base_lsn > last) {
        const bool empty = source.base_lsn == last + 1;
        if (!empty || source.header_lost) {
          Add("stale", source.path, 0,
              absl::StrCat("replaced by later segments: from record ", source.base_lsn, " on"));
        }
        continue;
      }
      source.last_lsn = last;
      source.complete = next != nullptr && next->predecessor_generation == source.generation;
      if (source.header_lost) {
        Add("header_lost", source.path, 0,
            "the segment's header; its records tell by themselves where they belong");
      }
      if (!source.header_lost || IsCommitted(source)) last = source.base_lsn - 1;
      begins_the_log = !source.header_lost && source.predecessor_generation == 0;
      kept.push_back(source);
      next = &source;
    }
    std::reverse(kept.begin(), kept.end());
    plan_.sources = std::move(kept);
  }

  bool IsThere(uint64_t generation) const { return chosen_.count(generation) > 0; }

  void AddMissing(uint64_t generation, LsnRange records, const std::string& how) {
    Add("missing_segment", JoinPath(directory_, SegmentName(generation)), 0, how, records, true);
  }

  // Those before the first source, and behind the last one; a gap between shows by its records.
  void FindMissing() {
    const uint64_t first = plan_.control.has_value() ? plan_.control->first_generation : 0;
    if (!plan_.sources.empty()) {
      const SalvageSource& oldest = plan_.sources.front();
      const uint64_t before = oldest.predecessor_generation;
      if (before != 0 && before >= first && !IsThere(before)) {
        AddMissing(before, {0, oldest.base_lsn - 1},
                   plan_.control.has_value()
                       ? "the log's first segment is not there"
                       : "the segment before the first one is not there (or was trimmed: CONTROL "
                         "would say)");
      }
    }
    for (size_t i = 1; i < plan_.sources.size(); ++i) {
      const uint64_t before = plan_.sources[i].predecessor_generation;
      if (before >= first && before != 0 && !IsThere(before)) AddMissing(before, {0, 0}, kMayBeCut);
    }
    FindUnproven();
    if (!plan_.control.has_value() || IsThere(plan_.control->tail_generation)) return;
    const uint64_t tail = plan_.control->tail_generation;
    if (plan_.sources.empty() || plan_.sources.back().generation < tail) {
      AddMissing(tail, {0, 0}, kMayBeCut);
    }
  }

  bool IsNamed(uint64_t generation) const {
    return std::any_of(plan_.sources.begin(), plan_.sources.end(), [&](const SalvageSource& other) {
      return other.predecessor_generation == generation;
    });
  }

  // Files with bytes of which nothing verifies, and that no header names. CONTROL says that it
  // never saw a record if it is not listed; without CONTROL, nobody says so. A first segment whose
  // header is lost no longer says what was before it.
  void FindUnproven() {
    const bool first_is_headerless = !plan_.sources.empty() && plan_.sources.front().header_lost &&
                                     plan_.sources.front().base_lsn > kFirstLsn;
    const uint64_t first = plan_.control.has_value() ? plan_.control->first_generation : 0;
    bool found_before = false;
    for (const Candidate& candidate : unproven_) {
      const uint64_t generation = *candidate.named;
      if (generation < first || IsNamed(generation)) continue;
      const bool before = first_is_headerless && generation < plan_.sources.front().generation;
      if (plan_.control.has_value() && !before) continue;
      found_before = found_before || before;
      const LsnRange records = {0, before ? plan_.sources.front().base_lsn - 1 : 0};
      Add("unreadable", candidate.path, kSegmentHeaderBytes,
          "neither a header nor any record in this file verifies", records, true);
    }
    if (!first_is_headerless || found_before || !plan_.control.has_value() ||
        plan_.sources.front().generation == first || !plan_.sources.front().base_is_certain) {
      return;
    }
    Add("header_lost", plan_.sources.front().path, 0,
        absl::StrCat("without it, it is not known whether record ",
                     plan_.sources.front().base_lsn - 1, " was trimmed or is lost"));
    plan_.damage.back().uncertain = true;
  }

  // Files that CONTROL knows to be there, and longer: what they held nobody can say.
  void FindShortened() {
    if (!plan_.control.has_value()) return;
    for (const ControlEntry& entry : plan_.control->entries) {
      if (entry.generation < plan_.control->first_generation) continue;
      const auto known = chosen_.find(entry.generation);
      const std::string path = known != chosen_.end()
                                   ? known->second.path
                                   : JoinPath(directory_, SegmentName(entry.generation));
      FileInfo info;
      if (FileSystem::Posix()->Stat(path, &info) == 0 && info.bytes >= entry.allocated_bytes) {
        continue;
      }
      Add("shortened", path, info.bytes,
          absl::StrCat("it had ", entry.allocated_bytes,
                       " bytes; whether they held records is not known"),
          {}, true);
    }
  }

  const std::string directory_;
  std::vector<std::string> names_;
  std::vector<Candidate> candidates_;
  std::vector<Candidate> unproven_;  // without a header, and with bytes that nothing explains
  std::map<uint64_t, Candidate> chosen_;
  SalvagePlan plan_;
};

}  // namespace

absl::StatusOr<std::string> ReadForSalvage(const std::string& path, std::vector<Finding>* damage) {
  absl::StatusOr<std::unique_ptr<File>> file = OpenFile(FileSystem::Posix(), path, OpenOptions());
  if (!file.ok()) return file.status();
  uint64_t size = 0;
  const int error = (*file)->Size(&size);
  if (error != 0) return ErrnoStatus(error, "fstat", path);
  std::string bytes(size, '\0');
  absl::StatusOr<size_t> got = ReadAt(file->get(), path, 0, size, bytes.data());
  if (got.ok()) return bytes;
  if (!absl::IsUnavailable(got.status())) return got.status();
  for (uint64_t at = 0; at < size; at += kBlockBytes) {
    const uint64_t count = std::min(kBlockBytes, size - at);
    got = ReadAt(file->get(), path, at, count, bytes.data() + at);
    if (got.ok()) continue;
    std::fill_n(bytes.begin() + static_cast<std::ptrdiff_t>(at), count, '\0');
    damage->push_back({"read_error", path, at, {}, std::string(got.status().message())});
  }
  return bytes;
}

absl::StatusOr<SalvagePlan> PlanSalvage(const std::string& directory) {
  return Planner(directory).Run();
}

}  // namespace seawall
