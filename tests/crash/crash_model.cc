// SPDX-License-Identifier: Apache-2.0
#include "tests/crash/crash_model.h"

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace seawall {

namespace {

std::string CursorViolation(const World& world, const Contents& contents) {
  for (const auto& [name, promise] : world.cursors) {
    const auto found = contents.cursors.find(name);
    if (found == contents.cursors.end()) {
      if (!promise.must_be || promise.may_be_gone) continue;
      return absl::StrCat("has no cursor ", name);
    }
    if (found->second < promise.acknowledged || found->second > promise.asked) {
      return absl::StrCat("cursor ", name, " stands at record ", found->second,
                          ", acknowledged at ", promise.acknowledged, ", asked to go to ",
                          promise.asked);
    }
    if (contents.first_lsn > found->second + 1) {
      return absl::StrCat("begins at record ", contents.first_lsn, ", cursor ", name, " stands at ",
                          found->second);
    }
  }
  for (const auto& [name, lsn] : contents.cursors) {
    if (world.cursors.count(name) == 0) return absl::StrCat("has a cursor ", name, " at ", lsn);
  }
  return "";
}

}  // namespace

std::string Violation(const World& world, const Contents& contents) {
  if (contents.metadata != world.metadata) {
    return absl::StrCat("has metadata \"", contents.metadata, "\", expected \"", world.metadata,
                        "\"");
  }
  if (contents.first_lsn > world.highest_first) {
    return absl::StrCat("begins at record ", contents.first_lsn, ", trimmed only below ",
                        world.highest_first);
  }
  if (contents.first_lsn < world.lowest_first) {
    return absl::StrCat("begins at record ", contents.first_lsn, ", though it was trimmed below ",
                        world.lowest_first);
  }
  if (contents.last_lsn() < world.acknowledged) {
    return absl::StrCat("ends with record ", contents.last_lsn(), ", acknowledged up to ",
                        world.acknowledged);
  }
  if (contents.last_lsn() > world.records.size()) {
    return absl::StrCat("ends with record ", contents.last_lsn(), ", appended up to ",
                        world.records.size());
  }
  for (Lsn lsn = contents.first_lsn; lsn <= contents.last_lsn(); ++lsn) {
    if (contents.records[lsn - contents.first_lsn] != world.records[lsn - 1]) {
      return absl::StrCat("record ", lsn, " differs");
    }
  }
  for (const LsnRange& batch : world.batches) {
    if (contents.last_lsn() >= batch.first && contents.last_lsn() < batch.last) {
      return absl::StrCat("ends with record ", contents.last_lsn(), " inside the batch ",
                          batch.first, "..", batch.last);
    }
  }
  return CursorViolation(world, contents);
}

std::string Violation(const std::vector<World>& worlds, const Contents& contents) {
  std::string all;
  for (const World& world : worlds) {
    std::string violation = Violation(world, contents);
    if (violation.empty()) return "";
    absl::StrAppend(&all, all.empty() ? "" : "; or: ", violation);
  }
  return all;
}

absl::StatusOr<Contents> ReadAll(Log* log) {
  Contents contents;
  contents.first_lsn = log->first_lsn();
  contents.metadata = log->metadata();
  for (const CursorInfo& cursor : log->cursors()) contents.cursors[cursor.name] = cursor.position;
  absl::StatusOr<std::unique_ptr<Reader>> reader = log->NewReader(contents.first_lsn);
  if (!reader.ok()) return reader.status();
  Record record;
  while ((*reader)->Next(&record)) contents.records.emplace_back(record.payload);
  if (!(*reader)->status().ok()) return (*reader)->status();
  if (contents.last_lsn() != log->durable_lsn()) {
    return absl::InternalError(absl::StrCat("read up to record ", contents.last_lsn(),
                                            ", durable is ", log->durable_lsn()));
  }
  return contents;
}

ModelledLog::ModelledLog(std::string directory, Options options)
    : directory_(std::move(directory)), options_(options), worlds_(1) {
  worlds_.back().metadata = options.metadata;
}

Options ModelledLog::SmallOptions(FileSystem* fs) {
  Options options;
  options.file_system = fs;
  options.segment_bytes = 16 << 10;
  options.buffer_bytes = 8 << 10;
  options.max_record_bytes = 6 << 10;
  return options;
}

std::string ModelledLog::NewPayload(Lsn lsn, size_t bytes) {
  // Distinct for each record ever appended, so that a stale one cannot pass for another.
  std::string payload = absl::StrCat("record ", lsn, " payload ", payloads_++, " ");
  while (payload.size() < bytes) payload.push_back(static_cast<char>('a' + payload.size() % 26));
  payload.resize(bytes);
  return payload;
}

absl::Status ModelledLog::Open() {
  absl::StatusOr<std::unique_ptr<Log>> log = Log::Open(directory_, options_);
  if (!log.ok()) return log.status();
  log_ = std::move(*log);
  // What was recovered is promised from now on, and nothing else ever was.
  absl::StatusOr<Contents> contents = ReadAll(log_.get());
  if (!contents.ok()) return contents.status();
  std::lock_guard<std::mutex> lock(mutex_);
  std::string violation = Violation(worlds_, *contents);
  if (!violation.empty()) return absl::InternalError(violation);
  World world;
  for (const World& candidate : worlds_) {
    if (Violation(candidate, *contents).empty()) world = candidate;
  }
  world.records.resize(contents->last_lsn());
  while (!world.batches.empty() && world.batches.back().last > contents->last_lsn()) {
    world.batches.pop_back();
  }
  world.acknowledged = contents->last_lsn();
  world.lowest_first = contents->first_lsn;
  world.cursors.clear();
  for (const auto& [name, lsn] : contents->cursors) {
    world.cursors[name] = {lsn, lsn, /*must_be=*/true, /*may_be_gone=*/false};
  }
  worlds_ = {world};
  return absl::OkStatus();
}

// With retain_bytes the log may begin anywhere up to here. What headers take is not modelled: they
// are less than half of it.
Lsn ModelledLog::HighestRetained(const World& world) const {
  if (options_.retain_bytes == 0) return 0;
  uint64_t bytes = 0;
  Lsn lsn = world.records.size();
  for (; lsn > 0 && bytes < options_.retain_bytes / 2; --lsn) {
    bytes += world.records[lsn - 1].size();
  }
  return lsn + 1;
}

absl::Status ModelledLog::Append(size_t bytes, Durability until) {
  return AppendBatch(1, bytes, until);
}

absl::Status ModelledLog::AppendBatch(size_t records, size_t bytes, Durability until) {
  World before;
  std::vector<std::string> payloads;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    World& world = worlds_.back();
    before = world;
    const Lsn first = world.records.size() + 1;
    for (size_t i = 0; i < records; ++i) payloads.push_back(NewPayload(first + i, bytes));
    // It may reach the disk from the moment of the call.
    world.records.insert(world.records.end(), payloads.begin(), payloads.end());
    if (records > 1) world.batches.push_back({first, first + records - 1});
    world.highest_first = std::max(world.highest_first, HighestRetained(world));
  }
  std::vector<std::string_view> views(payloads.begin(), payloads.end());
  absl::StatusOr<LsnRange> range = log_->AppendBatch(views);
  std::lock_guard<std::mutex> lock(mutex_);
  if (!range.ok()) {
    worlds_.back() = before;  // refused: nothing of it may ever appear
    return range.status();
  }
  if (range->last != worlds_.back().records.size()) {
    return absl::InternalError(
        absl::StrCat("got LSN ", range->last, ", expected ", worlds_.back().records.size()));
  }
  mutex_.unlock();
  absl::Status status = until == Durability::kAppended ? absl::OkStatus() : Wait(until);
  mutex_.lock();
  return status;
}

absl::Status ModelledLog::Wait(Durability level) {
  const Lsn lsn = last_lsn();
  if (lsn == 0) return absl::OkStatus();
  absl::Status status = log_->Wait(lsn, level);
  std::lock_guard<std::mutex> lock(mutex_);
  if (status.ok() && level == Durability::kDurable) worlds_.back().acknowledged = lsn;
  return status;
}

absl::Status ModelledLog::TrimBefore(Lsn lsn) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    worlds_.back().highest_first = std::max(worlds_.back().highest_first, lsn);
  }
  absl::Status status = log_->TrimBefore(lsn);
  std::lock_guard<std::mutex> lock(mutex_);
  if (status.ok()) worlds_.back().lowest_first = log_->first_lsn();
  return status;
}

absl::Status ModelledLog::Change(World then, const std::function<absl::Status()>& change) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    worlds_.push_back(std::move(then));
  }
  absl::Status status = change();
  std::lock_guard<std::mutex> lock(mutex_);
  if (status.ok()) {
    worlds_.erase(worlds_.begin());
  } else if (!absl::StrContains(status.message(), "until it is reopened")) {
    worlds_.pop_back();  // refused; after a failure that is latched, either may be found
  }
  return status;
}

absl::Status ModelledLog::TruncateAfter(Lsn lsn) {
  World cut = worlds().back();
  cut.records.resize(lsn);
  cut.acknowledged = lsn;
  for (auto& [name, cursor] : cut.cursors) {
    cursor.acknowledged = std::min(cursor.acknowledged, lsn);
    cursor.asked = std::min(cursor.asked, lsn);
  }
  while (!cut.batches.empty() && cut.batches.back().last > lsn) cut.batches.pop_back();
  return Change(std::move(cut), [&] { return log_->TruncateAfter(lsn); });
}

absl::Status ModelledLog::Reset(Lsn first_lsn) {
  World anew;
  anew.records.resize(first_lsn - 1);  // no such records, and none is asked for
  anew.acknowledged = first_lsn - 1;
  anew.lowest_first = anew.highest_first = first_lsn;
  anew.cursors = worlds().back().cursors;
  anew.metadata = worlds().back().metadata;
  for (auto& [name, cursor] : anew.cursors) cursor.acknowledged = cursor.asked = first_lsn - 1;
  return Change(std::move(anew), [&] { return log_->Reset(first_lsn); });
}

absl::Status ModelledLog::OpenCursor(const std::string& name) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    const Lsn first = log_->first_lsn() - 1;
    worlds_.back().cursors.try_emplace(name, CursorPromise{first, first, false, false});
  }
  absl::StatusOr<std::unique_ptr<Cursor>> cursor = log_->OpenCursor(name);
  if (!cursor.ok()) return cursor.status();
  std::lock_guard<std::mutex> lock(mutex_);
  worlds_.back().cursors[name].must_be = true;
  return absl::OkStatus();
}

absl::Status ModelledLog::AdvanceCursor(const std::string& name, Lsn lsn, Durability until) {
  absl::StatusOr<std::unique_ptr<Cursor>> cursor = log_->OpenCursor(name);
  if (!cursor.ok()) return cursor.status();
  {
    std::lock_guard<std::mutex> lock(mutex_);
    CursorPromise& promise = worlds_.back().cursors[name];
    promise.asked = std::max(promise.asked, lsn);
  }
  absl::Status status = (*cursor)->Advance(lsn, until);
  std::lock_guard<std::mutex> lock(mutex_);
  CursorPromise& promise = worlds_.back().cursors[name];
  if (status.ok() && until == Durability::kDurable) promise.acknowledged = promise.asked;
  return status;
}

absl::Status ModelledLog::DropCursor(const std::string& name) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    worlds_.back().cursors[name].may_be_gone = true;
  }
  absl::Status status = log_->DropCursor(name);
  std::lock_guard<std::mutex> lock(mutex_);
  if (status.ok()) worlds_.back().cursors.erase(name);
  return status;
}

absl::Status ModelledLog::SetMetadata(const std::string& metadata) {
  World then = worlds().back();
  then.metadata = metadata;
  return Change(std::move(then), [&] { return log_->SetMetadata(metadata); });
}

absl::Status ModelledLog::Close() {
  absl::Status status = log_->Close();
  std::lock_guard<std::mutex> lock(mutex_);
  if (status.ok()) {
    worlds_.back().acknowledged = worlds_.back().records.size();
    for (auto& [name, cursor] : worlds_.back().cursors) cursor.acknowledged = cursor.asked;
  }
  return status;
}

void ModelledLog::Drop() { log_.reset(); }

Lsn ModelledLog::last_lsn() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return worlds_.back().records.size();
}

std::vector<World> ModelledLog::worlds() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return worlds_;
}

}  // namespace seawall
