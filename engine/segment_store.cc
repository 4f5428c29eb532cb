#include "engine/segment_store.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "engine/segment_scanner.h"

namespace seawall {
namespace {

// What a writer in a hurry gets at once: few waits for it, and little that is not zeros when the
// hurry is over.
constexpr uint64_t kHurriedStepBytes = uint64_t{16} << 20;

}  // namespace

SegmentStore::SegmentStore(FileSystem* fs, std::string directory, const Options& options)
    : fs_(fs), directory_(std::move(directory)), options_(options) {}

SegmentStore::~SegmentStore() { Stop(); }

std::shared_ptr<WritableSegment> SegmentStore::Start(RecoveredLog log,
                                                     SegmentStoreCallbacks callbacks) {
  callbacks_ = std::move(callbacks);
  {
    MutexLock control_lock(&control_mutex_);
    control_file_ = std::move(log.control_file);
  }
  std::shared_ptr<WritableSegment> file = std::move(log.fresh.segment);
  {
    MutexLock lock(&mutex_);
    log_id_ = log.control.log_id;
    for (SegmentRef& segment : log.segments) {
      segment.pin = std::make_shared<int>(0);
      segments_.push_back(std::move(segment));
    }
    prepared_.push_back(
        {file->header.generation, file->header.salt, log.fresh.allocated_bytes, file});
    allocated_ = log.fresh.allocated_bytes;
    first_generation_ = log.control.first_generation;
    next_generation_ = file->header.generation + 1;
  }
  thread_ = std::thread([this] { Run(); });
  return file;
}

void SegmentStore::Stop() {
  {
    MutexLock lock(&mutex_);
    stop_ = true;
    work_.NotifyAll();
    progress_.NotifyAll();
  }
  if (thread_.joinable()) thread_.join();
}

// ---- The thread

void SegmentStore::Run() {
  MutexLock lock(&mutex_);
  while (!stop_) {
    if (!sealed_.empty()) {
      std::vector<std::shared_ptr<WritableSegment>> close = std::exchange(sealed_, {});
      mutex_.Unlock();
      close.clear();
      mutex_.Lock();
      continue;
    }
    Job job = paused_ ? Job::kNone : NextJob();
    if (job == Job::kNone) {
      work_.Wait(&mutex_);
      continue;
    }
    busy_ = true;
    if (job != Job::kRemove) ++attempts_begun_;
    mutex_.Unlock();
    absl::Status status = Do(job);
    mutex_.Lock();
    busy_ = false;
    if (job != Job::kRemove) {
      // With trimmed segments to remove, the attempt is not over: that makes room, perhaps.
      if (status.ok() || trimmed_.empty()) attempts_ended_ = attempts_begun_;
      attempt_code_ = status.code();
      attempt_message_ = std::string(status.message());
    }
    progress_.NotifyAll();
  }
}

bool SegmentStore::MayPrepare() const { return prepared_.size() < kMaxControlEntries - 1; }

// What somebody waits for comes first; work ahead of need pauses after a failure.
SegmentStore::Job SegmentStore::NextJob() const {
  if (failed_) return Job::kNone;
  const uint64_t allocated = prepared_[current_].allocated_bytes;
  const bool ahead = attempt_code_ == absl::StatusCode::kOk;
  const bool can_extend = allocated < options_.segment_bytes;
  const bool can_prepare = Spares() == 0 && MayPrepare();
  if (!ahead && !trimmed_.empty()) return Job::kRemove;
  if (can_extend && space_waiters_ > 0 && wanted_ > allocated) return Job::kExtend;
  if (can_prepare && spare_waiters_ > 0) return trimmed_.empty() ? Job::kSpare : Job::kRemove;
  const uint64_t step = NextAllocation(allocated, options_) - allocated;
  if (can_extend && ahead && fill_ + step / 2 > allocated) return Job::kExtend;
  if (!trimmed_.empty()) return Job::kRemove;
  if (can_prepare && ahead && fill_ > options_.segment_bytes / 2) return Job::kSpare;
  return Job::kNone;
}

absl::Status SegmentStore::Do(Job job) {
  switch (job) {
    case Job::kExtend:
      return Extend();
    case Job::kSpare:
      return MakeSpare();
    case Job::kRemove:
      return RemoveTrimmed();
    case Job::kNone:
      break;
  }
  return absl::OkStatus();
}

// Zeros make the commits that follow cheap: the file system has nothing to note but the data. A
// writer that is faster than they are written would wait for them, and pay for each byte twice; it
// gets space by fallocate(2), where the first write of a block costs a note in the journal, which
// few large writes do not feel.
SegmentStore::Extension SegmentStore::PlanExtension() {
  const Prepared& current = prepared_[current_];
  Extension extension;
  extension.file = current.file;
  extension.from = extension.wanted = current.allocated_bytes;
  extension.to = NextAllocation(extension.from, options_);
  if (space_waiters_ > 0) extension.wanted = std::max(extension.wanted, wanted_);
  while (extension.to < std::min(extension.wanted, options_.segment_bytes)) {
    extension.to = NextAllocation(extension.to, options_);
  }
  const Clock::time_point now = Clock::now();
  const double seconds = std::chrono::duration<double>(now - planned_at_).count();
  const double filled = static_cast<double>(filled_before_ + fill_ - planned_fill_);
  const double zeros = static_cast<double>(extension.to - extension.from) * zero_seconds_per_byte_;
  const double left = static_cast<double>(extension.from - std::min(extension.from, fill_));
  // left / (filled / seconds) < zeros
  extension.in_hurry = extension.wanted > extension.from || left * seconds < zeros * filled;
  planned_at_ = now;
  planned_fill_ = filled_before_ + fill_;
  if (extension.in_hurry) {
    extension.to = std::max(extension.to,
                            std::min(extension.from + kHurriedStepBytes, options_.segment_bytes));
  }
  return extension;
}

absl::Status SegmentStore::Lengthen(Extension* extension) {
  // Synchronous writes through a handle of their own: fdatasync here would also cover records that
  // the committing thread has written, and if it failed, that thread's own sync might succeed on
  // pages that are marked clean and gone.
  const std::string& path = extension->file->path;
  OpenOptions open = WriteOpenOptions(options_);
  open.data_sync = true;
  absl::StatusOr<std::unique_ptr<File>> file = OpenFile(fs_, path, open);
  if (!file.ok()) return file.status();
  if (extension->in_hurry) {
    absl::Status status = AllocateZeros(file->get(), path, extension->from, extension->to);
    const uint64_t least = AlignUp(extension->wanted, kBlockBytes);
    if (absl::IsResourceExhausted(status) && least > extension->from && least < extension->to) {
      // What is left of the disk may still do for those that wait.
      extension->to = least;
      status = AllocateZeros(file->get(), path, extension->from, extension->to);
    }
    if (!absl::IsUnimplemented(status)) return status;
    extension->in_hurry = false;
  }
  const Clock::time_point start = Clock::now();
  absl::Status status = WriteZeros(file->get(), path, extension->from, extension->to);
  MutexLock lock(&mutex_);
  stats_.zero_bytes_written += extension->to - extension->from;
  zero_seconds_per_byte_ = std::chrono::duration<double>(Clock::now() - start).count() /
                           static_cast<double>(extension->to - extension->from);
  return status;
}

absl::Status SegmentStore::Extend() {
  Extension extension;
  {
    MutexLock lock(&mutex_);
    extension = PlanExtension();
  }
  absl::Status status = Lengthen(&extension);
  if (!status.ok()) return RefuseOrFail(status);
  MutexLock control_lock(&control_mutex_);
  {
    MutexLock lock(&mutex_);
    for (Prepared& prepared : prepared_) {
      if (prepared.file == extension.file) prepared.allocated_bytes = extension.to;
    }
  }
  status = WriteControl();
  if (!status.ok()) return status;
  MutexLock lock(&mutex_);
  if (prepared_[current_].file == extension.file) allocated_ = extension.to;
  return absl::OkStatus();
}

absl::Status SegmentStore::MakeSpare() {
  uint64_t generation;
  LogId log_id;
  {
    MutexLock lock(&mutex_);
    generation = next_generation_++;
    log_id = log_id_;
  }
  uint64_t allocated_bytes = 0;
  auto file = CreateSpare(fs_, directory_, options_, log_id, generation, &allocated_bytes);
  if (!file.ok()) return RefuseOrFail(file.status());
  absl::Status status = SyncDirectory(fs_, directory_);
  if (!status.ok()) {
    fs_->Unlink((*file)->path);  // best effort: what is left over, the next open removes
    return RefuseOrFail(status);
  }
  {
    MutexLock lock(&mutex_);
    ++stats_.segments_created;
    stats_.zero_bytes_written += allocated_bytes;
  }
  return AddSpare(std::move(*file), allocated_bytes);
}

// A spare may be taken when CONTROL lists it: from then on its loss is noticed.
absl::Status SegmentStore::AddSpare(std::unique_ptr<WritableSegment> file,
                                    uint64_t allocated_bytes) {
  MutexLock control_lock(&control_mutex_);
  const DurablePoint point = callbacks_.durable_point();
  ControlBlock block;
  Prepared spare{file->header.generation, file->header.salt, allocated_bytes, std::move(file)};
  {
    MutexLock lock(&mutex_);
    block = Control(point);
  }
  block.entries.push_back({spare.generation, spare.salt, spare.allocated_bytes});
  absl::Status status = control_file_->Write(block);
  if (!status.ok()) return Fail(status);
  MutexLock lock(&mutex_);
  prepared_.push_back(std::move(spare));
  return absl::OkStatus();
}

// Recycles or unlinks what was trimmed. CONTROL says already that it is not part of the log.
absl::Status SegmentStore::RemoveTrimmed() {
  std::vector<std::string> unlink;
  std::string recycle;
  uint64_t recycled = 0;
  uint64_t generation = 0;
  LogId log_id;
  {
    MutexLock lock(&mutex_);
    log_id = log_id_;
    while (!trimmed_.empty()) {
      const SegmentRef& segment = trimmed_.front();
      const bool free = segment.pin.use_count() == 1;  // nobody can get another pin
      if (free && recycle.empty() && MayPrepare() && Spares() < options_.max_recycled_segments) {
        recycle = segment.path;
        recycled = segment.generation;
        generation = next_generation_++;
        ++stats_.segments_recycled;
      } else if (free && MayPrepare() && Spares() + 1 < options_.max_recycled_segments) {
        break;  // in the next job
      } else {
        unlink.push_back(SegmentName(segment.generation));
        ++stats_.segments_unlinked;
      }
      trimmed_.pop_front();
    }
  }
  if (!recycle.empty()) {
    uint64_t allocated_bytes = 0;
    auto file =
        RecycleSegment(fs_, directory_, options_, log_id, recycle, generation, &allocated_bytes);
    if (file.ok()) {
      absl::Status status = AddSpare(std::move(*file), allocated_bytes);
      if (!status.ok()) return status;
    } else {
      // A rename may take space; an unlink gives some.
      unlink.push_back(SegmentName(recycled));
      unlink.push_back(SegmentName(generation));
    }
  }
  return RemoveFiles(fs_, directory_, unlink);
}

// Nothing that was accepted depends on it, so a lack of space (of any kind) is only refused.
absl::Status SegmentStore::RefuseOrFail(absl::Status status) {
  return absl::IsResourceExhausted(status) ? status : Fail(std::move(status));
}

absl::Status SegmentStore::Fail(absl::Status status) {
  callbacks_.on_failure(status);
  // Only now: who waits here looks for the latched error next.
  MutexLock lock(&mutex_);
  failed_ = true;
  progress_.NotifyAll();
  return status;
}

void SegmentStore::Pause() {
  MutexLock lock(&mutex_);
  paused_ = true;
  while (busy_) progress_.Wait(&mutex_);
}

void SegmentStore::Resume() {
  MutexLock lock(&mutex_);
  paused_ = false;
  work_.NotifyAll();
}

// ---- For the writer

uint64_t SegmentStore::NoteFill(uint64_t end) {
  const uint64_t from = note_from_.load(std::memory_order_relaxed);
  if (end < from) return from;
  MutexLock lock(&mutex_);
  fill_ = std::max(fill_, end);
  // Steps are no smaller than this, so that the thread is told in time and not for each record.
  const uint64_t next = end + std::min<uint64_t>(options_.segment_bytes / 16, uint64_t{64} << 10);
  note_from_.store(next, std::memory_order_relaxed);
  if (!busy_ && NextJob() != Job::kNone) work_.NotifyOne();
  return next;
}

absl::Status SegmentStore::AwaitAttempt(uint64_t seen) {
  progress_.Wait(&mutex_);
  if (stop_) return absl::FailedPreconditionError("the log is being closed");
  if (attempts_ended_ <= seen || attempt_code_ == absl::StatusCode::kOk) return absl::OkStatus();
  return absl::Status(attempt_code_, attempt_message_);
}

absl::Status SegmentStore::WaitForSpace(uint64_t generation, uint64_t end) {
  MutexLock lock(&mutex_);
  auto lacking = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return !failed_ && prepared_[current_].generation == generation && allocated_bytes() < end;
  };
  if (!lacking()) return absl::OkStatus();
  ++stats_.space_waits;
  ++space_waiters_;
  wanted_ = std::max(wanted_, end);
  work_.NotifyOne();
  const uint64_t seen = attempts_begun_;
  absl::Status status;
  while (status.ok() && lacking()) status = AwaitAttempt(seen);
  if (--space_waiters_ == 0) wanted_ = 0;
  return status;
}

bool SegmentStore::HasSpare(uint64_t bytes) const {
  MutexLock lock(&mutex_);
  return Spares() > 0 && prepared_[current_ + 1].allocated_bytes >= bytes;
}

bool SegmentStore::AwaitsBegin() const {
  MutexLock lock(&mutex_);
  return !MayPrepare();
}

std::shared_ptr<WritableSegment> SegmentStore::TakeSpare() {
  MutexLock lock(&mutex_);
  if (Spares() == 0) return nullptr;
  ++current_;
  ++stats_.rollovers;
  filled_before_ += std::exchange(fill_, 0);
  wanted_ = 0;  // those who wait for the old one's find that it is not current any more
  progress_.NotifyAll();
  allocated_ = prepared_[current_].allocated_bytes;
  note_from_ = 0;
  work_.NotifyOne();
  return prepared_[current_].file;
}

absl::Status SegmentStore::WaitForSpare(uint64_t generation) {
  MutexLock lock(&mutex_);
  auto lacking = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return !failed_ && prepared_[current_].generation == generation && Spares() == 0;
  };
  if (!lacking()) return absl::OkStatus();
  ++stats_.rollover_waits;
  ++spare_waiters_;
  work_.NotifyOne();
  const uint64_t seen = attempts_begun_;
  absl::Status status;
  while (status.ok() && lacking()) status = AwaitAttempt(seen);
  --spare_waiters_;
  return status;
}

void SegmentStore::Begin(const WritableSegment& segment,
                         std::shared_ptr<WritableSegment> predecessor, uint64_t predecessor_end,
                         uint64_t predecessor_digest) {
  MutexLock lock(&mutex_);
  SegmentRef& last = segments_.back();
  last.last_lsn = segment.header.base_lsn - 1;
  last.end = predecessor_end;
  last.digest = predecessor_digest;
  segments_.push_back(RefOf(segment));
  segments_.back().pin = std::make_shared<int>(0);
  // The one before is sealed: it needs no entry in CONTROL any more.
  prepared_.pop_front();
  --current_;
  sealed_.push_back(std::move(predecessor));
  work_.NotifyOne();
}

// ---- For everybody

std::optional<SegmentRef> SegmentStore::Locate(Lsn lsn) const {
  MutexLock lock(&mutex_);
  auto above = std::upper_bound(segments_.begin(), segments_.end(), lsn,
                                [](Lsn l, const SegmentRef& s) { return l < s.base_lsn; });
  if (above == segments_.begin()) return std::nullopt;
  return *std::prev(above);
}

Lsn SegmentStore::first_lsn() const {
  MutexLock lock(&mutex_);
  return segments_.front().base_lsn;
}

size_t SegmentStore::truncations() const {
  MutexLock lock(&mutex_);
  return cuts_.size();
}

Lsn SegmentStore::LowestCut(size_t since) const {
  MutexLock lock(&mutex_);
  Lsn lowest = ~Lsn{0};
  for (size_t i = since; i < cuts_.size(); ++i) lowest = std::min(lowest, cuts_[i]);
  return lowest;
}

void SegmentStore::AddStats(Stats* stats) const {
  MutexLock lock(&mutex_);
  stats->first_lsn = segments_.front().base_lsn;
  stats->zero_bytes_written = stats_.zero_bytes_written;
  stats->rollovers = stats_.rollovers;
  stats->rollover_waits += stats_.rollover_waits;
  stats->space_waits = stats_.space_waits;
  stats->segments = segments_.size();
  stats->segments_created = stats_.segments_created;
  stats->segments_recycled = stats_.segments_recycled;
  stats->segments_unlinked = stats_.segments_unlinked;
}

ControlBlock SegmentStore::Control(const DurablePoint& point) const {
  ControlBlock block;
  block.log_id = log_id_;
  block.first_generation = first_generation_;
  block.tail_generation = point.generation;
  block.durable_lsn = point.lsn;
  for (const Prepared& prepared : prepared_) {
    block.entries.push_back({prepared.generation, prepared.salt, prepared.allocated_bytes});
  }
  return block;
}

absl::Status SegmentStore::WriteControl() {
  const DurablePoint point = callbacks_.durable_point();
  ControlBlock block;
  {
    MutexLock lock(&mutex_);
    block = Control(point);
  }
  absl::Status status = control_file_->Write(block);
  return status.ok() ? status : Fail(status);
}

absl::Status SegmentStore::TrimBefore(Lsn lsn) {
  MutexLock control_lock(&control_mutex_);
  // Not beyond the segment of the last sync: a later one was begun, but its header is not known to
  // be durable, and without it the log would have no segment at all.
  const uint64_t durable_generation = callbacks_.durable_point().generation;
  size_t count = 0;
  {
    MutexLock lock(&mutex_);
    while (count + 1 < segments_.size() && segments_[count].last_lsn < lsn &&
           segments_[count + 1].generation <= durable_generation) {
      ++count;
    }
    if (count == 0) return absl::OkStatus();
    first_generation_ = segments_[count].generation;
  }
  // Before any file goes: a crash must find either the file or the word that it was trimmed. Into
  // two slots, so that damage to one of them leaves the word.
  for (int slot = 0; slot < 2; ++slot) {
    absl::Status status = WriteControl();
    if (!status.ok()) return status;
  }
  MutexLock lock(&mutex_);
  for (; count > 0; --count) {
    trimmed_.push_back(std::move(segments_.front()));
    segments_.pop_front();
  }
  work_.NotifyOne();
  return absl::OkStatus();
}

absl::Status SegmentStore::FindCut(const SegmentRef& segment, Lsn lsn, CopySource* source,
                                   SegmentHeader* header) const {
  absl::StatusOr<std::unique_ptr<File>> file = OpenFile(fs_, segment.path, OpenOptions());
  if (!file.ok()) return file.status();
  SegmentScanner scanner(file->get(), segment.path, segment.salt);
  uint64_t at = kSegmentHeaderBytes;
  uint64_t digest = 0;
  Group group;
  for (Lsn next = segment.base_lsn; next <= lsn; next = group.header.last_lsn() + 1) {
    absl::StatusOr<SegmentScanner::Found> found = scanner.ReadGroup(at, ~uint64_t{0}, &group);
    if (!found.ok()) return found.status();
    if (*found != SegmentScanner::Found::kGroup || group.header.first_lsn != next) {
      return DamageStatus(segment.path, at,
                          absl::StrCat("expected record ", next, ", found no valid group"));
    }
    if (group.header.last_lsn() > lsn) {
      *source = {segment.path, segment.salt, at, group.end(), lsn};
      header->base_lsn = next;
      break;
    }
    digest = ExtendDigest(digest, group.checksum);
    at = group.end();
  }
  header->predecessor_generation = segment.generation;
  header->predecessor_end = at;
  header->predecessor_digest = digest;
  return absl::OkStatus();
}

absl::StatusOr<SegmentStore::Truncated> SegmentStore::TruncateAfter(Lsn lsn) {
  Pause();
  absl::StatusOr<Truncated> result = CutAfter(lsn);
  Resume();
  return result;
}

absl::StatusOr<SegmentStore::Truncated> SegmentStore::CutAfter(Lsn lsn) {
  MutexLock control_lock(&control_mutex_);
  SegmentHeader header;
  header.base_lsn = lsn + 1;
  header.durable_lsn = lsn;
  CopySource source;
  std::vector<SegmentRef> kept;
  {
    MutexLock lock(&mutex_);
    header.log_id = log_id_;
    header.generation = next_generation_++;
    auto cut = std::upper_bound(segments_.begin(), segments_.end(), lsn,
                                [](Lsn l, const SegmentRef& s) { return l < s.base_lsn; });
    // The one that is cut, and the one that stands behind if nothing of it is left.
    kept.assign(cut - std::min<std::ptrdiff_t>(cut - segments_.begin(), 2), cut);
  }
  if (!kept.empty()) {
    absl::Status status = FindCut(kept.back(), lsn, &source, &header);
    if (!status.ok()) return status;
    if (header.predecessor_end == kSegmentHeaderBytes) {
      // Nothing of this segment is left but what is copied: take its place.
      kept.pop_back();
      header.predecessor_generation = kept.empty() ? 0 : kept.back().generation;
      header.predecessor_end = kept.empty() ? 0 : kept.back().end;
      header.predecessor_digest = kept.empty() ? 0 : kept.back().digest;
    } else {
      kept.back().last_lsn = header.base_lsn - 1;
      kept.back().end = header.predecessor_end;
      kept.back().digest = header.predecessor_digest;
    }
  }
  absl::StatusOr<FreshSegment> fresh =
      PrepareFresh(fs_, directory_, options_, header, source.from < source.to ? &source : nullptr);
  if (!fresh.ok()) return RefuseOrFail(fresh.status());
  absl::Status status = CommitFresh(options_, *fresh);
  if (!status.ok()) return Fail(status);
  std::vector<std::string> unlink = Replace(std::move(kept), lsn, *fresh);
  ControlBlock block;
  {
    MutexLock lock(&mutex_);
    block = Control({header.generation, lsn});
  }
  status = control_file_->Write(block);
  if (!status.ok()) {
    // It has happened all the same, and the writer must know it: who asks is told by the latch.
    (void)Fail(status);
    return Truncated{std::move(fresh->segment), fresh->end, fresh->digest};
  }
  // What could not be removed is not part of the log, and goes at the next open.
  (void)RemoveFiles(fs_, directory_, unlink);
  return Truncated{std::move(fresh->segment), fresh->end, fresh->digest};
}

std::vector<std::string> SegmentStore::Replace(std::vector<SegmentRef> kept, Lsn cut,
                                               FreshSegment& fresh) {
  std::vector<std::string> unlink;
  MutexLock lock(&mutex_);
  while (!segments_.empty() &&
         (kept.empty() || segments_.back().generation > kept.back().generation)) {
    unlink.push_back(SegmentName(segments_.back().generation));
    segments_.pop_back();
  }
  for (size_t i = 1; i < prepared_.size(); ++i) {
    unlink.push_back(SegmentName(prepared_[i].generation));
  }
  if (!kept.empty()) segments_.back() = std::move(kept.back());
  segments_.push_back(RefOf(*fresh.segment));
  segments_.back().pin = std::make_shared<int>(0);
  if (kept.empty()) first_generation_ = fresh.segment->header.generation;
  prepared_.clear();
  current_ = 0;
  prepared_.push_back({fresh.segment->header.generation, fresh.segment->header.salt,
                       fresh.allocated_bytes, fresh.segment});
  allocated_ = fresh.allocated_bytes;
  fill_ = wanted_ = 0;
  note_from_ = 0;
  cuts_.push_back(cut);
  progress_.NotifyAll();
  return unlink;
}

absl::Status SegmentStore::MarkClosed(Lsn last_lsn, uint64_t end, uint64_t digest) {
  MutexLock control_lock(&control_mutex_);
  ControlBlock block;
  {
    MutexLock lock(&mutex_);
    block = Control({segments_.back().generation, last_lsn});
    // Spares hold nothing; their loss is none.
    block.entries.resize(1);
  }
  block.closed = true;
  block.closed_end = end;
  block.closed_digest = digest;
  // Into two slots, so that damage to one of them leaves the word.
  absl::Status status = control_file_->Write(block);
  return status.ok() ? control_file_->Write(block) : status;
}

}  // namespace seawall
