// SPDX-License-Identifier: Apache-2.0
#include "engine/io/file_prefetcher.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <system_error>
#include <utility>

#include "absl/status/statusor.h"
#include "engine/io/file_io.h"

namespace seawall {
namespace {

// How much could be read. Why it is less, who reads that without a prefetcher is told. (The status
// of a failure takes memory, and on a thread of its own nobody would catch it.)
size_t ReadSome(File* file, const std::string& path, uint64_t offset, size_t bytes, char* to) {
  try {
    const absl::StatusOr<size_t> got = ReadAt(file, path, offset, bytes, to);
    return got.ok() ? *got : 0;
  } catch (const std::bad_alloc&) {
    return 0;
  }
}

}  // namespace

FilePrefetcher::FilePrefetcher(File* file, std::string path, uint64_t from, uint64_t limit,
                               char* memory)
    : file_(file),
      path_(std::move(path)),
      from_(from),
      limit_(limit),
      ring_(memory),
      given_up_(from),
      end_(limit) {
  try {
    thread_ = std::thread([this] { Run(); });
  } catch (const std::system_error&) {
    // Get() reads all.
  }
}

FilePrefetcher::~FilePrefetcher() {
  {
    MutexLock lock(&mutex_);
    stop_ = true;
    room_.NotifyOne();
  }
  if (thread_.joinable()) thread_.join();
}

bool FilePrefetcher::Arrived(uint64_t piece) const { return in_slot_[piece % kSlots] == piece + 1; }

bool FilePrefetcher::HasRoom() const {
  return BeginOf(next_) < end_ && BeginOf(next_) + kPieceBytes <= given_up_ + kRingBytes;
}

void FilePrefetcher::ReadNext() {
  const uint64_t piece = next_++;
  const uint64_t begin = BeginOf(piece);
  const uint64_t bytes = std::min(kPieceBytes, limit_ - begin);
  mutex_.Unlock();
  const uint64_t read = ReadSome(file_, path_, begin, bytes, ring_ + piece % kSlots * kPieceBytes);
  mutex_.Lock();
  if (read < bytes) end_ = std::min(end_, begin + read);
  in_slot_[piece % kSlots] = piece + 1;
  arrived_.NotifyOne();
}

bool FilePrefetcher::Await(uint64_t offset, uint64_t until) {
  for (uint64_t piece = PieceOf(offset); BeginOf(piece) < until; ++piece) {
    // If it is not being read, there is room for it, and for all before it: kMostBytes.
    while (!Arrived(piece) && BeginOf(piece) < end_) {
      if (HasRoom()) {
        ReadNext();
      } else {
        arrived_.Wait(&mutex_);
      }
    }
  }
  return until <= end_;
}

std::string_view FilePrefetcher::Get(uint64_t offset, uint64_t bytes) {
  uint64_t end;
  {
    MutexLock lock(&mutex_);
    if (bytes > kMostBytes || offset < given_up_ || offset >= limit_ || bytes > limit_ - offset) {
      return std::string_view();
    }
    given_up_ = offset;
    if (sleeps_ && HasRoom()) room_.NotifyOne();
    end = offset + bytes;
    if (!Await(offset, end)) return std::string_view();
    // And what else lies there by now.
    const uint64_t ring_end = offset + kRingBytes - (offset - from_) % kRingBytes;
    for (uint64_t piece = PieceOf(end); end < ring_end && end < end_ && Arrived(piece); ++piece) {
      end = std::min({BeginOf(piece) + kPieceBytes, ring_end, end_});
    }
  }
  const uint64_t at = (offset - from_) % kRingBytes;
  if (at + (end - offset) > kRingBytes) {
    std::memcpy(ring_ + kRingBytes, ring_, at + (end - offset) - kRingBytes);
  }
  return std::string_view(ring_ + at, end - offset);
}

void FilePrefetcher::Run() {
  MutexLock lock(&mutex_);
  while (!stop_ && BeginOf(next_) < end_) {
    if (HasRoom()) {
      ReadNext();
      continue;
    }
    sleeps_ = true;
    room_.Wait(&mutex_);
    sleeps_ = false;
  }
}

}  // namespace seawall
