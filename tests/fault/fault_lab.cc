// SPDX-License-Identifier: Apache-2.0
#include "tests/fault/fault_lab.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "seawall/error.h"
#include "tests/support/seed.h"

namespace seawall {
namespace {

// A write or sync that failed, by the words that the engine uses for it.
bool IsWriteOrSync(const absl::Status& status) {
  for (const char* verb : {"write ", "fdatasync ", "fsync "}) {
    if (absl::StartsWith(status.message(), verb)) return true;
  }
  return false;
}

}  // namespace

bool IsLatch(const absl::Status& status) {
  return absl::StrContains(status.message(), "until it is reopened");
}

Lab::Lab(const Options& options, const CrashOptions& crash, std::optional<Fault> fault, size_t life)
    : options_(options), crash_(crash), fault_(std::move(fault)), fault_life_(life) {
  disk_ = std::make_unique<CrashFileSystem>(crash_);
  EXPECT_EQ(disk_->MakeDirectory("/data"), 0);
  EXPECT_EQ(disk_->SyncDirectory("/"), 0);
  Options log_options = options_;
  log_options.file_system = disk_.get();
  model_.emplace(kDirectory, log_options);
  setup_calls_ = disk_->calls();
  Arm();
}

void Lab::Open() {
  Do("open", [this] {
    absl::Status status = model_->Open();
    if (!status.ok()) model_->Drop();
    return status;
  });
}

void Lab::Append(size_t bytes, Durability until) {
  Do("append", [=] { return model_->Append(bytes, until); });
}

void Lab::AppendBatch(size_t records, size_t bytes, Durability until) {
  Do("append batch", [=] { return model_->AppendBatch(records, bytes, until); });
}

void Lab::Trim(Lsn lsn) {
  Do("trim", [=] { return model_->TrimBefore(std::min(lsn, model_->log()->durable_lsn() + 1)); });
}

void Lab::OpenCursor(const std::string& name) {
  Do("open cursor", [=] { return model_->OpenCursor(name); });
}

void Lab::AdvanceCursor(const std::string& name, Lsn behind, Durability until) {
  Do("advance", [=] {
    const Lsn durable = model_->log()->durable_lsn();
    return model_->AdvanceCursor(name, durable - std::min(durable, behind), until);
  });
}

void Lab::DropCursor(const std::string& name) {
  Do("drop cursor", [=] {
    absl::Status status = model_->DropCursor(name);
    // The attempt before may have done it.
    return absl::IsNotFound(status) ? absl::OkStatus() : status;
  });
}

void Lab::SetMetadata(const std::string& metadata) {
  Do("set metadata", [=] { return model_->SetMetadata(metadata); });
}

void Lab::Truncate(size_t count) {
  Do("truncate", [=] {
    const Lsn lowest = model_->log()->first_lsn() - 1;
    return model_->TruncateAfter(
        std::max(lowest, model_->last_lsn() - std::min<Lsn>(model_->last_lsn(), count)));
  });
}

void Lab::Reset(Lsn first_lsn) {
  Do("reset", [=] { return model_->Reset(first_lsn); });
}

void Lab::FillToCap(size_t bytes) {
  if (stopped_) return;
  const uint64_t limit = std::max(options_.max_log_bytes, DiskBytes());
  Do("fill to the cap", [=] {
    for (int i = 0; i < 100; ++i) {
      const absl::Status status = model_->Append(bytes, Durability::kDurable);
      if (absl::StrContains(status.message(), "(max_log_bytes)")) return absl::OkStatus();
      if (!status.ok()) return status;
    }
    return absl::InternalError("the cap refuses nothing");
  });
  if (stopped_ || DiskBytes() <= limit) return;
  Wrong(absl::StrCat(DiskBytes(), " bytes on disk, expected at most ", limit));
}

void Lab::Backup() {
  Do("backup", [this] {
    // What a failure left there need not be gone, if nothing can be removed.
    const std::string copy = absl::StrCat("/data/copy", ++backups_);
    const absl::Status status = model_->log()->Backup(copy).status();
    if (!status.ok()) return status;
    const CrashState state = disk_->Capture();
    for (const bool power : {false, true}) {
      const auto image = power ? state.PowerLoss(CrashChoice()) : state.Kill();
      const std::string wrong = CheckImage(image.get(), copy);
      if (!wrong.empty()) return absl::InternalError(wrong);
    }
    return absl::OkStatus();
  });
}

void Lab::Read() {
  Do("read", [this] {
    absl::StatusOr<Contents> contents = ReadAll(model_->log());
    if (!contents.ok()) return contents.status();
    const std::string violation = Violation(model_->worlds(), *contents);
    if (!violation.empty()) return absl::InternalError(violation);
    for (Lsn lsn = contents->first_lsn; lsn <= contents->last_lsn(); ++lsn) {
      absl::StatusOr<std::string> record = model_->log()->Read(lsn);
      if (!record.ok()) return record.status();
      if (*record != contents->records[lsn - contents->first_lsn]) {
        return absl::InternalError(absl::StrCat("record ", lsn, " differs"));
      }
    }
    return absl::OkStatus();
  });
}

void Lab::ReadOnly() {
  Do("open read-only", [this] {
    const Lsn durable = model_->log()->durable_lsn();
    absl::StatusOr<std::unique_ptr<Reader>> reader =
        Reader::OpenReadOnly(kDirectory, 0, disk_.get());
    if (!reader.ok()) return reader.status();
    Record record;
    Lsn last = 0;
    while ((*reader)->Next(&record)) last = record.lsn;
    if (!(*reader)->status().ok()) return (*reader)->status();
    if (last < durable) {
      return absl::InternalError(absl::StrCat("ends with ", last, ", durable is ", durable));
    }
    return absl::OkStatus();
  });
}

void Lab::Close() {
  if (stopped_) return;
  absl::Status status = model_->Close();
  if (status.ok()) {
    model_->Drop();
    return;
  }
  Note("close", status);
  if (ErrorClassOf(status) != ErrorClass::kLatched) {
    Wrong(absl::StrCat("close gave an error that is not latched: ", status.ToString()));
  }
  const absl::Status again = model_->Close();
  if (again != status)
    Wrong(absl::StrCat("close gave ", status.ToString(), ", then ", again.ToString()));
  Restart();
  if (!stopped_) Drop();
}

void Lab::Kill() {
  if (stopped_) return;
  NextDisk();
  Arm();
}

void Lab::Finish() {
  disk_->ClearFaults();
  CheckImages("at the end");
  disk_->Freeze();
  model_->Drop();
  if (OnlyInvisible() && failures_ > 0) Wrong("EINTR or a short count was seen");
}

std::vector<std::vector<FileSystemCall>> Lab::Calls() const {
  std::vector<std::vector<FileSystemCall>> lives;
  for (const auto& disk : old_disks_) lives.push_back(disk->Trace());
  lives.push_back(disk_->Trace());
  lives[0].erase(lives[0].begin(), lives[0].begin() + static_cast<std::ptrdiff_t>(setup_calls_));
  return lives;
}

uint64_t Lab::hits() const {
  uint64_t hits = disk_->faults_hit();
  for (const auto& disk : old_disks_) hits += disk->faults_hit();
  return hits;
}

void Lab::Arm() {
  if (fault_.has_value() && life_ == fault_life_) disk_->InjectFault(*fault_);
}

void Lab::Wrong(const std::string& what) {
  if (wrong_.empty()) wrong_ = what;
  stopped_ = true;
}

void Lab::Note(const std::string& step, const absl::Status& status) {
  ++failures_;
  // A model that is violated, and damage where there is none.
  if (absl::IsInternal(status) || absl::IsDataLoss(status)) {
    Wrong(absl::StrCat(step, ": ", status.ToString()));
  }
  if (!fault_.has_value()) Wrong(absl::StrCat(step, " without a fault: ", status.ToString()));
}

void Lab::Do(const std::string& step, const std::function<absl::Status()>& run) {
  for (int attempt = 0; !stopped_; ++attempt) {
    const absl::Status status = run();
    if (status.ok()) return;
    Note(step, status);
    if (stopped_) return;
    CheckClass(step, status);
    if (stopped_) return;
    if (IsLatch(status)) {
      ++latches_;
      CheckLatched(status);
      if (fault_->forever) disk_->ClearFaults();
      Restart();
      return;
    }
    ++refusals_;
    const bool opening = step == "open";
    // The log's directory was made, its parent's sync failed, and it could not be removed again:
    // its name stays in doubt however often it is synced from now on. Who called has been told, and
    // nothing is acknowledged.
    if (opening && ParentInDoubt()) {
      stopped_ = true;
      return;
    }
    if (!opening && step != "backup" && IsWriteOrSync(status) &&
        !absl::IsResourceExhausted(status)) {
      Wrong(absl::StrCat(step, ": a failed write or sync is not latched: ", status.ToString()));
    }
    if (!fault_->forever && attempt > 0) {
      Wrong(absl::StrCat(step, ": one failed call, refused twice: ", status.ToString()));
    }
    // The failure ends: so do the refusals.
    if (attempt > 2) disk_->ClearFaults();
    if (attempt > 3) Wrong(absl::StrCat(step, ": still refused: ", status.ToString()));
  }
}

// The code of an error says what the error is. What appends or moves a cursor is never refused for
// anything but want of space.
void Lab::CheckClass(const std::string& step, const absl::Status& status) {
  const ErrorClass found = ErrorClassOf(status);
  if (IsLatch(status)) {
    if (found == ErrorClass::kLatched) return;
    Wrong(absl::StrCat(step, ": latched with the code of another class: ", status.ToString()));
    return;
  }
  const bool writes =
      step == "append" || step == "append batch" || step == "advance" || step == "fill to the cap";
  if (found == ErrorClass::kRefused || (found == ErrorClass::kLimit && !writes)) return;
  Wrong(absl::StrCat(step, ": refused with the code of another class: ", status.ToString()));
}

void Lab::CheckLatched(const absl::Status& latched) {
  Log* log = model_->log();
  const auto same = [&](const std::string& step, const absl::Status& status) {
    if (status != latched) {
      Wrong(absl::StrCat("latched ", latched.ToString(), ", but ", step, " gives ",
                         status.ToString()));
    }
  };
  for (int round = 0; round < 2; ++round) {
    same("append", log->Append("later").status());
    same("durable append", log->AppendDurable("later").status());
    same("batch", log->AppendBatch({"one", "two"}).status());
    same("trim", log->TrimBefore(log->first_lsn()));
    same("open cursor", log->OpenCursor("late").status());
    same("drop cursor", log->DropCursor("late"));
    same("set metadata", log->SetMetadata("late"));
    same("truncate", log->TruncateAfter(log->durable_lsn()));
    same("reset", log->Reset(1));
    if (log->durable_lsn() < log->appended_lsn()) {
      same("wait", log->WaitDurable(log->appended_lsn()));
    }
  }
  // What was acknowledged stays so, and can be read.
  if (log->durable_lsn() > 0 && !log->WaitDurable(log->durable_lsn()).ok()) {
    Wrong("a durable record is not durable any more");
  }
  if (!fault_->forever) {
    absl::StatusOr<Contents> contents = ReadAll(log);
    if (!contents.ok()) {
      Wrong(absl::StrCat("reading after the latch: ", contents.status().ToString()));
    } else {
      const std::string violation = Violation(model_->worlds(), *contents);
      // What was not acknowledged need not be read.
      if (!violation.empty()) Wrong(absl::StrCat("after the latch: ", violation));
    }
  }
  same("close", log->Close());
}

void Lab::Restart() {
  if (stopped_) return;
  CheckImages("after the failure");
  NextDisk();
  const absl::Status status = model_->Open();
  if (!status.ok()) Wrong(absl::StrCat("reopening: ", status.ToString()));
}

void Lab::NextDisk() {
  ++life_;
  std::unique_ptr<CrashFileSystem> next = disk_->Clone();
  disk_->Freeze();
  model_->Drop();
  old_disks_.push_back(std::move(disk_));
  disk_ = std::move(next);
  model_->set_file_system(disk_.get());
}

std::string Lab::CheckImage(CrashFileSystem* image, const std::string& directory) const {
  Options options = options_;
  options.file_system = image;
  options.create_if_missing = directory == kDirectory;
  absl::StatusOr<std::unique_ptr<Log>> log = Log::Open(directory, options);
  absl::StatusOr<Contents> contents = log.ok() ? ReadAll(log->get()) : log.status();
  image->Freeze();
  return contents.ok() ? Violation(model_->worlds(), *contents) : contents.status().ToString();
}

// Of files that have a name.
uint64_t Lab::DiskBytes() const {
  const std::unique_ptr<CrashFileSystem> image = disk_->Capture().Kill();
  std::vector<std::string> names;
  if (image->List(kDirectory, &names) != 0) return 0;
  uint64_t bytes = 0;
  for (const std::string& name : names) {
    FileInfo info;
    if (image->Stat(absl::StrCat(kDirectory, "/", name), &info) == 0) bytes += info.bytes;
  }
  return bytes;
}

void Lab::CheckImages(const std::string& when) {
  const CrashState state = disk_->Capture();
  const auto check = [&](std::unique_ptr<CrashFileSystem> image, const std::string& choice) {
    ++images_;
    const std::string violation = CheckImage(image.get(), kDirectory);
    if (!violation.empty()) {
      Wrong(absl::StrCat(when, ", ", choice, ": ", violation, "\n", state.Describe({})));
    }
    return violation.empty();
  };
  if (!check(state.Kill(), "killed")) return;
  state.ForEachImage(
      4, CrashSeed(), [&](const CrashChoice& choice, std::unique_ptr<CrashFileSystem> image) {
        return check(std::move(image), absl::StrCat("power loss ", choice.ToString()));
      });
}

bool Lab::ParentInDoubt() const {
  bool in_doubt = false;
  for (const FileSystemCall& call : disk_->Trace()) {
    if (call.kind == CallKind::kSyncDirectory && call.path == "/data") {
      in_doubt = in_doubt || call.error != 0;
    }
    if (call.kind == CallKind::kRemoveDirectory && call.error == 0) in_doubt = false;
  }
  return in_doubt;
}

bool Lab::OnlyInvisible() const {
  if (!fault_.has_value()) return false;
  if (fault_->error == 0) return fault_->max_bytes > 0;
  if (fault_->error != EINTR) return false;
  for (const std::vector<FileSystemCall>& calls : Calls()) {
    for (const FileSystemCall& call : calls) {
      if (call.error == EINTR && call.kind != CallKind::kOpen && call.kind != CallKind::kRead &&
          call.kind != CallKind::kWrite && call.kind != CallKind::kLock &&
          call.kind != CallKind::kTruncate && call.kind != CallKind::kAllocate) {
        return false;
      }
    }
  }
  return true;
}

}  // namespace seawall
