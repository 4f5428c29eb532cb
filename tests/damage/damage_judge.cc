// SPDX-License-Identifier: Apache-2.0
#include "tests/damage/damage_judge.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "engine/format/format.h"

namespace seawall {
namespace {

// The highest record that anything on this disk states to have been durable.
Lsn HighestProof(const Subject& subject, const Files& files) {
  Lsn proven = 0;
  for (const auto& [path, bytes] : files) {
    uint32_t version;
    if (path == kControlPath) {
      ControlBlock newest;
      for (uint64_t at = 0; at + kControlSlotBytes <= bytes.size(); at += kControlSlotBytes) {
        ControlBlock block;
        if (DecodeControlBlock(bytes.data() + at, &block, &version) == DecodeResult::kValid &&
            block.sequence >= newest.sequence) {
          newest = block;
        }
      }
      proven = std::max(proven, newest.durable_lsn);
      continue;
    }
    SegmentHeader header;
    if (HeaderOf(bytes, &header)) proven = std::max(proven, header.durable_lsn);
    for (uint64_t at = kSegmentHeaderBytes; at + kGroupHeaderBytes <= bytes.size();
         at += kGroupUnitBytes) {
      for (uint64_t salt : subject.salts) {
        GroupHeader group;
        uint64_t checksum;
        if (DecodeGroupHeader(bytes.data() + at, salt, at, &group, &checksum)) {
          proven = std::max(proven, group.durable_lsn);
        }
      }
    }
  }
  return proven;
}

// Empty if the error says what it has to.
std::string BadError(const absl::Status& status) {
  const std::string text(status.message());
  if (!absl::IsDataLoss(status) && !absl::IsUnimplemented(status)) {
    return absl::StrCat("an error of another kind: ", status.ToString());
  }
  for (const char* part : {kDirectory, ", offset ", "expected ", "found "}) {
    if (!absl::StrContains(text, part)) {
      return absl::StrCat("an error without '", part, "': ", status.ToString());
    }
  }
  return "";
}

}  // namespace

void Judge::ReadThrough(Reader* reader, Lsn first_lsn, Found* found) const {
  const World& world = subject_.world;
  found->contents.first_lsn = first_lsn;
  Record record;
  while (reader->Next(&record)) {
    const Lsn expected = first_lsn + found->contents.records.size();
    if (record.lsn != expected || record.lsn > world.records.size() ||
        record.payload != world.records[record.lsn - 1]) {
      found->wrong = absl::StrCat("a wrong record was returned for LSN ", expected);
      return;
    }
    found->contents.records.emplace_back(record.payload);
  }
  found->status = reader->status();
}

Outcome Judge::operator()(const Damage& damage, uint64_t number, std::string* wrong) {
  std::unique_ptr<CrashFileSystem> disk = subject_.state->Kill();
  if (damage.apply(disk.get()) != 0) {
    *wrong = "could not be done";
    return kOutcomes;
  }
  damage_ = &damage;

  // First without writing, then as the next writer does. Of the flipped bits a part, and a small
  // one where only a checksum sees them or nothing does, is left to the first: it is cheap, and
  // plans with the same code.
  const bool write =
      damage.kind != Damage::kBit || number % (damage.in_payload_or_zeros ? 16 : 3) == 0;
  if (!write || number % 4 == 0) {
    const Outcome outcome = Classify(OpenReadOnly(disk.get()), wrong);
    if (outcome == kOutcomes) wrong->insert(0, "read-only: ");
    if (!write || outcome == kOutcomes) return outcome;
  }
  std::unique_ptr<Log> log;
  Found found = OpenToWrite(disk.get(), &log);
  if (!found.opened) {
    Files after = Snapshot(*disk);
    Files before = Damaged();
    after.erase(kLockPath);
    before.erase(kLockPath);
    if (after != before) {
      *wrong = absl::StrCat("a failing Open changed the disk: ", found.status.ToString());
      return kOutcomes;
    }
  }
  const Outcome outcome = Classify(found, wrong);
  if (outcome != kOutcomes && log != nullptr && number % 16 == 0) {
    *wrong = EachRecord(log.get());
    if (!wrong->empty()) return kOutcomes;
  }
  disk->Freeze();  // killed: no clean close
  log.reset();
  if (outcome == kHarmless && number % 16 == 0) {
    // What was served is on the disk.
    std::unique_ptr<CrashFileSystem> later = disk->Capture().PowerLoss(CrashChoice());
    std::unique_ptr<Log> again;
    Found second = OpenToWrite(later.get(), &again);
    later->Freeze();
    if (!second.status.ok() || !(second.contents == found.contents)) {
      *wrong = absl::StrCat("opened the second time, the log is another one: ",
                            second.status.ToString());
      return kOutcomes;
    }
  }
  return outcome;
}

Judge::Found Judge::OpenToWrite(CrashFileSystem* disk, std::unique_ptr<Log>* log) {
  Found found;
  Options options = subject_.options;
  options.file_system = disk;
  absl::StatusOr<std::unique_ptr<Log>> opened = Log::Open(kDirectory, options);
  found.status = opened.status();
  if (!opened.ok()) return found;
  found.opened = true;
  *log = std::move(*opened);
  found.knows_cursors = true;
  for (const CursorInfo& cursor : (*log)->cursors()) {
    found.contents.cursors[cursor.name] = cursor.position;
  }
  absl::StatusOr<std::unique_ptr<Reader>> reader = (*log)->NewReader((*log)->first_lsn());
  if (!reader.ok()) {
    found.wrong = absl::StrCat("no reader: ", reader.status().ToString());
    return found;
  }
  ReadThrough(reader->get(), (*log)->first_lsn(), &found);
  if (found.wrong.empty() && found.status.ok() &&
      found.contents.last_lsn() != (*log)->durable_lsn()) {
    found.wrong = absl::StrCat("read up to record ", found.contents.last_lsn(), ", durable is ",
                               (*log)->durable_lsn());
  }
  return found;
}

Judge::Found Judge::OpenReadOnly(CrashFileSystem* disk) {
  Found found;
  absl::StatusOr<std::unique_ptr<Reader>> reader = Reader::OpenReadOnly(kDirectory, 0, disk);
  found.status = reader.status();
  if (!reader.ok()) return found;
  found.opened = true;
  ReadThrough(reader->get(), (*reader)->next_lsn(), &found);
  return found;
}

std::string Judge::EachRecord(Log* log) {
  for (Lsn lsn = log->first_lsn(); lsn <= log->durable_lsn(); ++lsn) {
    absl::StatusOr<std::string> record = log->Read(lsn);
    if (record.ok() && *record != subject_.world.records[lsn - 1]) {
      return absl::StrCat("Read returned a wrong record for LSN ", lsn);
    }
    if (!record.ok()) {
      std::string bad = BadError(record.status());
      if (!bad.empty()) return bad;
    }
  }
  return "";
}

Files Judge::Damaged() const {
  const std::unique_ptr<CrashFileSystem> disk = subject_.state->Kill();
  damage_->apply(disk.get());
  return Snapshot(*disk);
}

Outcome Judge::Classify(const Found& found, std::string* wrong) {
  *wrong = found.wrong;
  if (!wrong->empty()) return kOutcomes;
  if (!found.status.ok()) {
    *wrong = BadError(found.status);
    if (!wrong->empty()) return kOutcomes;
    return found.opened ? kDetectedAtRead : kDetectedAtOpen;
  }
  World without_end = subject_.world;
  if (!found.knows_cursors) without_end.cursors.clear();  // a reader has none
  *wrong = Violation(without_end, found.contents);
  if (wrong->empty()) return kHarmless;
  // A prefix all the same?
  without_end.acknowledged = 0;
  for (auto& [name, cursor] : without_end.cursors) {
    cursor.acknowledged = 0;
    cursor.may_be_gone = true;
  }
  *wrong = Violation(without_end, found.contents);
  if (!wrong->empty()) return kOutcomes;
  const Lsn proven = HighestProof(subject_, Damaged());
  if (proven > found.contents.last_lsn()) {
    *wrong = absl::StrCat("lost silently: records ", found.contents.last_lsn() + 1, "..",
                          subject_.world.acknowledged, ", though the disk still knows record ",
                          proven, " to have been durable");
    return kOutcomes;
  }
  return kUndetectable;
}

}  // namespace seawall
