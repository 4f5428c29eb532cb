// SPDX-License-Identifier: Apache-2.0
#include "examples/journal_server/checkpoint.h"

#include <utility>

namespace journal_server {
namespace {

constexpr size_t kSliceBytes = 256 << 10;

uint64_t NowMicros() { return uv_hrtime() / 1000; }

}  // namespace

Checkpoint::Checkpoint(uv_loop_t* loop, Journal* journal, const Store* store,
                       seawall::FileSystem* fs, const std::string& directory)
    : loop_(loop), journal_(journal), store_(store), fs_(fs), directory_(directory) {
  snapshot_lsn_ = journal->recovery().snapshot_lsn;
  request_.data = this;
}

void Checkpoint::Start() {
  running_ = true;
  visited_all_ = false;
  phase_ = Phase::kWriting;
  cursor_ = 0;
  keys_ = 0;
  begin_lsn_ = journal_->appended_lsn();
  journal_bytes_ = journal_->bytes_since_snapshot();
  begun_at_micros_ = NowMicros();
  Queue([this] {
    absl::StatusOr<std::unique_ptr<SnapshotWriter>> writer =
        SnapshotWriter::Create(fs_, directory_, begin_lsn_);
    if (!writer.ok()) return writer.status();
    writer_ = *std::move(writer);
    return absl::OkStatus();
  });
}

void Checkpoint::Queue(std::function<absl::Status()> work) {
  work_ = std::move(work);
  const int error = uv_queue_work(loop_, &request_, Work, AfterWork);
  if (error != 0) End(absl::UnavailableError(uv_strerror(error)));
}

void Checkpoint::Work(uv_work_t* request) {
  auto* self = static_cast<Checkpoint*>(request->data);
  self->work_status_ = self->work_();
}

void Checkpoint::AfterWork(uv_work_t* request, int) {
  auto* self = static_cast<Checkpoint*>(request->data);
  if (self->phase_ == Phase::kSyncing) self->journal_->EndSync();
  if (!self->work_status_.ok() || self->phase_ == Phase::kFinishing) {
    self->End(self->work_status_);
  } else if (self->abandoned_) {
    self->End(absl::CancelledError("the server was stopped"));
  } else if (self->phase_ == Phase::kSyncing) {
    self->Finish();
  } else if (self->visited_all_) {
    self->SyncJournal();
  } else {
    self->NextSlice();
  }
}

void Checkpoint::NextSlice() {
  slice_.clear();
  cursor_ = store_->Visit(cursor_, [this](std::string_view key, const Object& object) {
    AppendEntry(key, object, &slice_);
    ++keys_;
    return slice_.size() < kSliceBytes;
  });
  visited_all_ = cursor_ == 0;
  Queue([this] { return writer_->WriteChunk(slice_); });
}

void Checkpoint::SyncJournal() {
  phase_ = Phase::kSyncing;
  end_lsn_ = journal_->appended_lsn();
  journal_->BeginSync();
  Queue([this] { return journal_->Sync(end_lsn_); });
}

void Checkpoint::Finish() {
  phase_ = Phase::kFinishing;
  Queue([this] {
    absl::Status status = writer_->Finish(keys_, end_lsn_);
    if (status.ok()) status = journal_->log()->TrimBefore(begin_lsn_ + 1);
    return status;
  });
}

void Checkpoint::End(const absl::Status& status) {
  running_ = false;
  status_ = status;
  ended_at_ms_ = uv_now(loop_);
  last_elapsed_micros_ = NowMicros() - begun_at_micros_;
  if (writer_ != nullptr) last_bytes_ = writer_->bytes();
  writer_.reset();
  slice_ = std::string();
  if (!status.ok()) {
    ++failed_;
    return;
  }
  ++completed_;
  snapshot_lsn_ = begin_lsn_;
  journal_->SnapshotTaken(journal_bytes_);
}

}  // namespace journal_server
