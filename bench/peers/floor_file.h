// SPDX-License-Identifier: Apache-2.0
// The file of a bare loop: written ahead, its records all of one length, each with a checksum.
#ifndef SEAWALL_BENCH_PEERS_FLOOR_FILE_H_
#define SEAWALL_BENCH_PEERS_FLOOR_FILE_H_

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "engine/format/checksum.h"

namespace seawall::bench {

constexpr size_t kFloorHeaderBytes = 16;  // the checksum, the length
constexpr size_t kFloorBlockBytes = size_t{4096};

inline size_t RoundUp(size_t bytes, size_t to) { return (bytes + to - 1) / to * to; }

// What a record takes with its header.
inline size_t FloorStride(size_t record_bytes) {
  return RoundUp(kFloorHeaderBytes + record_bytes, 8);
}

inline void EncodeFloorRecord(std::string_view record, char* to) {
  const uint64_t length = record.size();
  std::memcpy(to + kFloorHeaderBytes, record.data(), record.size());
  const uint64_t hash = Xxh3(to + kFloorHeaderBytes, record.size());
  std::memcpy(to, &hash, sizeof(hash));
  std::memcpy(to + sizeof(hash), &length, sizeof(length));
}

// Memory at a multiple of a block, of zeros.
class FloorBuffer {
 public:
  explicit FloorBuffer(size_t bytes);
  char* data() { return data_.get(); }
  const char* data() const { return data_.get(); }
  size_t size() const { return size_; }

 private:
  struct Free {
    void operator()(char* data) const { std::free(data); }
  };
  size_t size_;
  std::unique_ptr<char[], Free> data_;
};

class FloorFile {
 public:
  explicit FloorFile(std::string path) : path_(std::move(path)) {}
  ~FloorFile();
  FloorFile(const FloorFile&) = delete;
  FloorFile& operator=(const FloorFile&) = delete;

  // Makes the file, of so many zeros that are on disk. With `direct`, writes go around the page
  // cache where the file system can do that.
  absl::Status Create(uint64_t bytes, bool direct);
  absl::Status OpenToRead();
  absl::Status Write(const char* from, size_t bytes, uint64_t at);
  absl::Status Read(char* to, size_t bytes, uint64_t at) const;
  absl::Status Sync();
  absl::Status Close();
  uint64_t bytes() const { return bytes_; }

 private:
  absl::Status Error(std::string_view call) const;

  const std::string path_;
  uint64_t bytes_ = 0;
  int fd_ = -1;
};

// Checks and visits the records that lie one behind the other in [begin, end), up to the first
// place without one.
absl::Status VisitFloorRecords(const char* begin, const char* end, size_t record_bytes,
                               absl::FunctionRef<void(std::string_view)> visit);

}  // namespace seawall::bench

#endif  // SEAWALL_BENCH_PEERS_FLOOR_FILE_H_
