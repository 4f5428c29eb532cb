// SPDX-License-Identifier: Apache-2.0
#include "tools/seawall/salvage/log_salvage.h"

#include <algorithm>
#include <utility>

#include "engine/format/cursor_table.h"
#include "engine/format/file_names.h"
#include "engine/io/file_io.h"

namespace seawall {
namespace {

class LogSalvage {
 public:
  LogSalvage(SalvagePlan plan, std::string directory, bool keep_parts, SalvageSink* sink)
      : plan_(std::move(plan)),
        directory_(std::move(directory)),
        assembler_(sink, keep_parts, &plan_.damage) {}

  absl::StatusOr<SalvageResult> Run() {
    SalvageResult result;
    result.opens = plan_.opens;
    for (const SalvageSource& source : plan_.sources) {
      absl::Status status = TakeSegment(source);
      if (!status.ok()) return status;
    }
    LoseAcknowledged();
    NameTornTail();
    if (!plan_.sources.empty()) result.first_lsn = plan_.sources.front().base_lsn;
    result.damage = std::move(plan_.damage);
    return result;
  }

 private:
  absl::Status TakeSegment(const SalvageSource& source) {
    if (next_lsn_ == 0) Begin(source);
    if (!source.header_lost && source.base_lsn > next_lsn_) {
      const uint64_t before = source.predecessor_generation;
      Lose(before == 0 ? source.path : JoinPath(directory_, SegmentName(before)),
           source.base_lsn - 1, "the segment that held them is not there, or not whole");
    }
    durable_lsn_ = std::max(durable_lsn_, source.durable_lsn);
    if (source.last_lsn < next_lsn_) return absl::OkStatus();
    absl::StatusOr<std::string> bytes = ReadForSalvage(source.path, &plan_.damage);
    if (!bytes.ok()) return bytes.status();
    assembler_.BeginSegment(source.path);
    SegmentSalvage walk(
        source, next_lsn_, &*bytes,
        [this](const SalvagedRecord& record) { assembler_.OnRecord(record); }, &plan_.damage);
    walk.Run();
    assembler_.EndSegment();
    next_lsn_ = std::max(next_lsn_, std::min(walk.next_lsn(), source.last_lsn + 1));
    durable_lsn_ = std::max(durable_lsn_, walk.durable_lsn());
    if (source.generation == plan_.sources.back().generation) TakeCursors(source, *bytes);
    return assembler_.status();
  }

  // The log's first record is that of its first segment, unless the beginning of that is lost: then
  // nothing says what it was, but that generation 1 begins with the first record of all.
  void Begin(const SalvageSource& source) {
    next_lsn_ = source.base_lsn;
    if (!source.header_lost || source.base_is_certain) return;
    const Lsn first = source.generation == 1 ? kFirstLsn : 0;
    plan_.damage.push_back({"unreadable",
                            source.path,
                            kSegmentHeaderBytes,
                            {first, source.base_lsn - 1},
                            "the beginning of the log's first segment: no group is left before "
                            "these records' end",
                            true});
  }

  // A cursor's record was durable before a slot of the last segment named it.
  void TakeCursors(const SalvageSource& source, const std::string& bytes) {
    for (uint64_t at : {kSegmentHeaderBytes, kSegmentHeaderBytes + kCursorSlotBytes}) {
      CursorTable table;
      if (at + kCursorSlotBytes <= bytes.size() &&
          DecodeCursorSlot(bytes.data() + at, source.salt, at, &table)) {
        durable_lsn_ = std::max(durable_lsn_, table.highest());
      }
    }
  }

  void Lose(const std::string& path, Lsn last, const std::string& what) {
    plan_.damage.push_back({"missing_segment", path, 0, {next_lsn_, last}, what, true});
    next_lsn_ = last + 1;
  }

  // Records behind the last one that something says were acknowledged.
  void LoseAcknowledged() {
    // What CONTROL knows speaks of its tail: a truncation or a reset may have begun a later one.
    const bool of_the_end = plan_.control.has_value() &&
                            (plan_.sources.empty() || plan_.sources.back().header_lost ||
                             plan_.sources.back().generation <= plan_.control->tail_generation);
    if (of_the_end) {
      durable_lsn_ = std::max(durable_lsn_, plan_.control->durable_lsn);
    }
    if (durable_lsn_ < next_lsn_ || (next_lsn_ == 0 && durable_lsn_ == 0)) return;
    const std::string path = plan_.sources.empty() ? directory_ : plan_.sources.back().path;
    plan_.damage.push_back({"unreadable",
                            path,
                            0,
                            {next_lsn_, durable_lsn_},
                            "they had been acknowledged, and are not in the file",
                            true});
  }

  // What a crash cut off, and nobody had been told of, is no loss.
  void NameTornTail() {
    if (!plan_.opens.ok()) return;
    const Lsn last = std::max(plan_.opens_last_lsn, assembler_.last_lsn());
    for (Finding& damage : plan_.damage) {
      if (damage.lost && damage.records.first > last) {
        damage.kind = "torn_tail";
        damage.what = "a last write that was cut off by a crash and was never acknowledged";
        damage.lost = false;
      }
    }
  }

  SalvagePlan plan_;
  const std::string directory_;
  BatchAssembler assembler_;
  Lsn next_lsn_ = 0;
  Lsn durable_lsn_ = 0;
};

}  // namespace

void BatchAssembler::OnRecord(const SalvagedRecord& salvaged) {
  const Record& record = salvaged.record;
  const bool follows = record.lsn == next_lsn_;
  if (salvaged.begins_anew || !follows) {
    Drop();
    whole_ = salvaged.begins_anew;
  } else if (!open_) {
    whole_ = true;
  }
  pending_.push_back(record.payload);
  next_lsn_ = record.lsn + 1;
  open_ = record.batch_continues;
  if (open_) return;
  if (whole_) {
    Give();
  } else {
    Drop();
  }
}

void BatchAssembler::EndSegment() {
  Drop();
  open_ = false;
}

void BatchAssembler::Give() {
  if (status_.ok()) status_ = sink_->OnRecords(next_lsn_ - pending_.size(), pending_);
  last_lsn_ = next_lsn_ - 1;
  pending_.clear();
}

void BatchAssembler::Drop() {
  if (pending_.empty()) return;
  const Lsn first = next_lsn_ - pending_.size();
  damage_->push_back({"batch_not_whole",
                      path_,
                      0,
                      {first, next_lsn_ - 1},
                      keep_parts_
                          ? "of an atomic batch (or perhaps one) that is not whole: kept"
                          : "of an atomic batch (or perhaps one) that is not whole: dropped",
                      true});
  for (size_t i = 0; keep_parts_ && status_.ok() && i < pending_.size(); ++i) {
    status_ = sink_->OnRecords(first + i, {pending_[i]});
    last_lsn_ = first + i;
  }
  pending_.clear();
}

bool SalvageResult::lost() const {
  return std::any_of(damage.begin(), damage.end(), [](const Finding& one) { return one.lost; });
}

bool SalvageResult::corrected() const {
  return std::any_of(damage.begin(), damage.end(),
                     [](const Finding& one) { return one.corrected; });
}

bool SalvageResult::uncertain() const {
  return std::any_of(damage.begin(), damage.end(),
                     [](const Finding& one) { return one.uncertain; });
}

absl::StatusOr<SalvageResult> SalvageLog(const std::string& directory, bool keep_parts,
                                         SalvageSink* sink) {
  absl::StatusOr<SalvagePlan> plan = PlanSalvage(directory);
  if (!plan.ok()) return plan.status();
  if (plan->control.has_value()) sink->OnMetadata(plan->control->metadata);
  return LogSalvage(std::move(*plan), directory, keep_parts, sink).Run();
}

}  // namespace seawall
