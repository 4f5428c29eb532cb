// SPDX-License-Identifier: Apache-2.0
// What appending without waiting cannot do without: each record is copied and hashed into an
// aligned buffer, and full buffers are written around the page cache into a file written ahead, by
// a thread of their own. One fdatasync at the end. floor-memory leaves the writing out; floor-pread
// and floor-hash read such a file in pieces, the second one hashing each record again.
#include <algorithm>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "bench/peers/floor_file.h"
#include "bench/peers/peer.h"

namespace seawall::bench {
namespace {

constexpr size_t kBufferBytes = size_t{1} << 20;
constexpr size_t kMemoryBufferBytes = size_t{256} << 10;
constexpr size_t kWritingBuffers = 3;  // beside one for each thread
constexpr size_t kReadBytes = size_t{256} << 10;

// A buffer holds at least a few records.
size_t BufferBytes(size_t record_bytes, size_t least = kBufferBytes) {
  return std::max(least, RoundUp(4 * FloorStride(record_bytes), kFloorBlockBytes));
}

size_t RecordsPerBuffer(size_t record_bytes) {
  return BufferBytes(record_bytes) / FloorStride(record_bytes);
}

class FloorAppend : public Peer {
 public:
  explicit FloorAppend(const RunOptions& run)
      : run_(run),
        file_(run.directory + "/floor"),
        stride_(FloorStride(run.record_bytes)),
        buffer_bytes_(BufferBytes(run.record_bytes)),
        filling_(static_cast<size_t>(run.threads)) {
    for (size_t i = 0; i < filling_.size() + kWritingBuffers; ++i) {
      free_.push_back(std::make_unique<FloorBuffer>(buffer_bytes_));
    }
  }

  ~FloorAppend() override { StopWriter(); }

  absl::Status Open() override {
    const uint64_t records = run_.most_append_bytes / run_.record_bytes + 1;
    const uint64_t buffers =
        records / RecordsPerBuffer(run_.record_bytes) + 2 * static_cast<uint64_t>(run_.threads);
    absl::Status status = file_.Create(buffers * buffer_bytes_, true);
    if (!status.ok()) return status;
    for (Filling& filling : filling_) filling.buffer = TakeFree();
    writer_ = std::thread([this] { WriteFullBuffers(); });
    return absl::OkStatus();
  }

  absl::Status Commit(int, std::string_view) override { return absl::UnimplementedError("commit"); }

  absl::Status Append(int thread, std::string_view record) override {
    Filling& filling = filling_[static_cast<size_t>(thread)];
    EncodeFloorRecord(record, filling.buffer->data() + filling.used);
    filling.used += stride_;
    if (filling.used + stride_ > buffer_bytes_) {
      HandOver(&filling);
      filling.buffer = TakeFree();
    }
    return absl::OkStatus();
  }

  absl::Status Sync() override {
    for (Filling& filling : filling_) HandOver(&filling);
    StopWriter();
    return status_.ok() ? file_.Sync() : status_;
  }

  absl::Status Close() override { return file_.Close(); }
  absl::Status OpenToRead() override { return file_.OpenToRead(); }

  absl::Status Read(absl::FunctionRef<void(std::string_view)> visit) override {
    FloorBuffer buffer(buffer_bytes_);
    for (uint64_t at = 0; at < file_.bytes(); at += buffer_bytes_) {
      absl::Status status = file_.Read(buffer.data(), buffer_bytes_, at);
      if (!status.ok()) return status;
      status =
          VisitFloorRecords(buffer.data(), buffer.data() + buffer_bytes_, run_.record_bytes, visit);
      if (!status.ok()) return status;
    }
    return absl::OkStatus();
  }

 protected:
  // Reads what was written in pieces that fit a cache, and returns the number of records in it.
  absl::StatusOr<uint64_t> ReadPieces(absl::FunctionRef<absl::Status(const char*, size_t)> piece) {
    FloorBuffer buffer(std::max(kReadBytes, stride_) / stride_ * stride_);
    const uint64_t in_buffer = RecordsPerBuffer(run_.record_bytes) * stride_;
    uint64_t records = 0;
    for (uint64_t start = 0; start < written_; start += buffer_bytes_) {
      const uint64_t end = std::min(start + in_buffer, written_);
      for (uint64_t at = start; at < end; at += buffer.size() / stride_ * stride_) {
        const size_t bytes = std::min<uint64_t>(buffer.size() / stride_ * stride_, end - at);
        absl::Status status = file_.Read(buffer.data(), bytes, at);
        if (status.ok()) status = piece(buffer.data(), bytes);
        if (!status.ok()) return status;
        records += bytes / stride_;
      }
    }
    return records;
  }

  const RunOptions run_;

 private:
  struct alignas(64) Filling {
    std::unique_ptr<FloorBuffer> buffer;
    size_t used = 0;
  };

  struct Full {
    std::unique_ptr<FloorBuffer> buffer;
    size_t used = 0;
  };

  std::unique_ptr<FloorBuffer> TakeFree() {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [this] { return !free_.empty(); });
    auto buffer = std::move(free_.back());
    free_.pop_back();
    return buffer;
  }

  void HandOver(Filling* filling) {
    if (filling->used == 0) return;
    std::lock_guard<std::mutex> lock(mutex_);
    full_.push_back({std::move(filling->buffer), filling->used});
    filling->used = 0;
    changed_.notify_all();
  }

  void WriteFullBuffers() {
    uint64_t at = 0;
    std::unique_lock<std::mutex> lock(mutex_);
    while (true) {
      changed_.wait(lock, [this] { return !full_.empty() || stop_; });
      if (full_.empty()) return;
      Full full = std::move(full_.front());
      full_.pop_front();
      lock.unlock();
      // What a buffer held before must not pass for records.
      const size_t bytes = RoundUp(full.used, kFloorBlockBytes);
      std::memset(full.buffer->data() + full.used, 0, bytes - full.used);
      absl::Status status = file_.Write(full.buffer->data(), bytes, at);
      lock.lock();
      if (status_.ok()) status_ = status;
      written_ = at + full.used;
      at += buffer_bytes_;
      free_.push_back(std::move(full.buffer));
      changed_.notify_all();
    }
  }

  void StopWriter() {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      stop_ = true;
      changed_.notify_all();
    }
    if (writer_.joinable()) writer_.join();
  }

  FloorFile file_;
  const size_t stride_;
  const size_t buffer_bytes_;
  std::vector<Filling> filling_;  // by thread
  std::thread writer_;
  std::mutex mutex_;
  std::condition_variable changed_;  // anything below
  std::vector<std::unique_ptr<FloorBuffer>> free_;
  std::deque<Full> full_;
  bool stop_ = false;
  absl::Status status_;
  uint64_t written_ = 0;  // where the last record ends
};

class FloorPread : public FloorAppend {
 public:
  using FloorAppend::FloorAppend;
  absl::StatusOr<uint64_t> Scan() override {
    return ReadPieces([](const char*, size_t) { return absl::OkStatus(); });
  }
};

class FloorHash : public FloorAppend {
 public:
  using FloorAppend::FloorAppend;
  absl::StatusOr<uint64_t> Scan() override {
    uint64_t sum = 0;
    auto visit = [&sum](std::string_view record) {
      sum += static_cast<unsigned char>(record.front());
    };
    auto records = ReadPieces([&](const char* from, size_t bytes) {
      return VisitFloorRecords(from, from + bytes, run_.record_bytes, visit);
    });
    if (records.ok() && sum == 0) return absl::DataLossError("records of zeros");
    return records;
  }
};

class FloorMemory : public Peer {
 public:
  explicit FloorMemory(const RunOptions& run)
      : stride_(FloorStride(run.record_bytes)),
        buffer_bytes_(BufferBytes(run.record_bytes, kMemoryBufferBytes)) {
    for (int i = 0; i < run.threads; ++i) {
      buffers_.push_back({std::make_unique<FloorBuffer>(buffer_bytes_), 0});
    }
  }
  absl::Status Open() override { return absl::OkStatus(); }
  absl::Status Commit(int, std::string_view) override { return absl::UnimplementedError("commit"); }
  absl::Status Append(int thread, std::string_view record) override {
    Buffer& buffer = buffers_[static_cast<size_t>(thread)];
    if (buffer.used + stride_ > buffer_bytes_) buffer.used = 0;
    EncodeFloorRecord(record, buffer.memory->data() + buffer.used);
    buffer.used += stride_;
    return absl::OkStatus();
  }
  absl::Status Sync() override { return absl::OkStatus(); }
  absl::Status Close() override { return absl::OkStatus(); }
  absl::Status OpenToRead() override { return absl::OkStatus(); }
  absl::Status Read(absl::FunctionRef<void(std::string_view)>) override { return absl::OkStatus(); }

 private:
  struct alignas(64) Buffer {
    std::unique_ptr<FloorBuffer> memory;
    size_t used;
  };
  const size_t stride_;
  const size_t buffer_bytes_;
  std::vector<Buffer> buffers_;  // by thread
};

PeerInfo Floor(std::string name, std::string title, std::string notes) {
  PeerInfo info;
  info.name = std::move(name);
  info.title = std::move(title);
  info.notes = std::move(notes);
  info.floor = true;
  info.commit = false;
  info.append = false;
  return info;
}

[[maybe_unused]] const bool registered = [] {
  PeerInfo file = Floor("floor-file", "floor: copy, hash, write",
                        "1 MiB O_DIRECT writes by a thread of their own into a file written ahead");
  file.append = true;
  file.make = MakePeer<FloorAppend>;
  PeerInfo memory = Floor("floor-memory", "memory only: copy, hash", "nothing is written");
  memory.append = true;
  memory.memory_only = true;
  memory.order = 90;
  memory.make = MakePeer<FloorMemory>;
  PeerInfo hash =
      Floor("floor-hash", "floor: pread, hash", "pread of 256 KiB, XXH3 of each record");
  hash.replay = true;
  hash.make = MakePeer<FloorHash>;
  PeerInfo pread = Floor("floor-pread", "pread alone", "pread of 256 KiB, the bytes not looked at");
  pread.replay = true;
  pread.order = 90;
  pread.make = MakePeer<FloorPread>;
  return RegisterPeer(file) && RegisterPeer(memory) && RegisterPeer(hash) && RegisterPeer(pread);
}();

}  // namespace
}  // namespace seawall::bench
