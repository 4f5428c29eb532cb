// SPDX-License-Identifier: Apache-2.0
#include "engine/commit/round_io.h"

namespace seawall {

RoundIo::RoundIo(const Options& options, Preallocator* preallocator, Watermarks* marks,
                 EventDispatcher* events)
    : writes_are_durable_(WritesAreDurable(options)),
      marks_(marks),
      writer_(options, preallocator, marks),
      meter_(options, events) {}

absl::Status RoundIo::Write(Mutex* mutex, GroupBuffer* buffer, const CursorTable* cursors,
                            bool sync_follows) {
  const Lsn durable = marks_->durable_lsn();
  meter_.WriteBegins(buffer->group().segment->header.generation);
  mutex->Unlock();
  absl::Status status = marks_->WithPlace(writer_.Write(buffer, durable, cursors, sync_follows));
  mutex->Lock();
  meter_.WriteEnds(writer_.io_began(), writer_.io_ended(), buffer->record_count(),
                   buffer->end() - buffer->group().head, status);
  if (!status.ok()) return status;
  bytes_written_ = writer_.bytes_written();
  ++groups_written_;
  return status;
}

absl::Status RoundIo::WriteCursors(Mutex* mutex, const CursorTable& cursors) {
  mutex->Unlock();
  absl::Status status = marks_->WithPlace(writer_.WriteCursors(cursors));
  mutex->Lock();
  bytes_written_ = writer_.bytes_written();
  return status;
}

absl::Status RoundIo::Sync(Mutex* mutex) {
  if (writes_are_durable_) return absl::OkStatus();
  meter_.SyncBegins(writer_.generation());
  // Readers that follow what is written need not wait for the sync. Those that follow what is
  // durable are woken when the round is over: these have what they want.
  WatermarkWatch& watch = marks_->watch();
  const bool tell = watch.Take(Durability::kWritten, marks_->written_lsn(), /*always=*/false);
  mutex->Unlock();
  if (tell) watch.Wake(Durability::kWritten);
  absl::Status status = marks_->WithPlace(writer_.Sync());
  mutex->Lock();
  meter_.SyncEnds(writer_.io_began(), writer_.io_ended(), status);
  ++syncs_;
  return status;
}

bool RoundIo::Advance(Lsn written, bool durable, uint64_t cursor_sequence) {
  if (written > marks_->written_lsn()) written_at_ = writer_.io_ended();
  if (durable && written > marks_->durable_lsn()) durable_at_ = writer_.io_ended();
  return marks_->Advance({written, writer_.generation(), writer_.end()}, durable, cursor_sequence);
}

void RoundIo::AddStats(Stats* stats) const {
  stats->bytes_written = bytes_written_;
  stats->groups_written = groups_written_;
  stats->syncs = syncs_;
  meter_.AddStats(stats);
}

}  // namespace seawall
