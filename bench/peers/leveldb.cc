// SPDX-License-Identifier: Apache-2.0
// LevelDB's log: a record is a Put, and the memtable is so large that it is never flushed. Its
// reader of the log is not public, so it has no replay.
#include <leveldb/db.h>
#include <leveldb/write_batch.h>

#include <memory>
#include <string>
#include <string_view>

#include "bench/peers/key.h"
#include "bench/peers/peer.h"

namespace seawall::bench {
namespace {

absl::Status ToStatus(const leveldb::Status& status) {
  return status.ok() ? absl::OkStatus() : absl::InternalError(status.ToString());
}

leveldb::Slice ToSlice(std::string_view bytes) { return {bytes.data(), bytes.size()}; }

class LevelDb : public Peer {
 public:
  explicit LevelDb(const RunOptions& run) : run_(run) {}

  absl::Status Open() override {
    leveldb::Options options;
    options.create_if_missing = true;
    options.write_buffer_size = size_t{1} << 30;
    leveldb::DB* database = nullptr;
    leveldb::Status status = leveldb::DB::Open(options, run_.directory + "/db", &database);
    database_.reset(database);
    return ToStatus(status);
  }

  absl::Status Commit(int /*thread*/, std::string_view record) override {
    return Put(record, true);
  }
  absl::Status Append(int /*thread*/, std::string_view record) override {
    return Put(record, false);
  }
  // An empty record that is synced brings those before it along: they are in the same file.
  absl::Status Sync() override { return Put("", true); }

  absl::Status Close() override {
    database_.reset();
    return absl::OkStatus();
  }

  absl::Status OpenToRead() override { return Open(); }

  absl::Status Read(absl::FunctionRef<void(std::string_view)> visit) override {
    std::unique_ptr<leveldb::Iterator> each(database_->NewIterator(leveldb::ReadOptions()));
    for (each->SeekToFirst(); each->Valid(); each->Next()) {
      visit({each->value().data(), each->value().size()});
    }
    return ToStatus(each->status());
  }

 private:
  absl::Status Put(std::string_view record, bool sync) {
    leveldb::WriteOptions options;
    options.sync = sync;
    return ToStatus(database_->Put(options, ToSlice(keys_.Next()), ToSlice(record)));
  }

  const RunOptions run_;
  Keys keys_;
  std::unique_ptr<leveldb::DB> database_;
};

[[maybe_unused]] const bool registered = [] {
  PeerInfo info;
  info.name = "leveldb";
  info.title = "LevelDB";
  info.version =
      std::to_string(leveldb::kMajorVersion) + "." + std::to_string(leveldb::kMinorVersion);
  info.notes = "Put, sync = true; a memtable of 1 GiB";
  info.order = 12;
  info.make = MakePeer<LevelDb>;
  return RegisterPeer(info);
}();

}  // namespace
}  // namespace seawall::bench
