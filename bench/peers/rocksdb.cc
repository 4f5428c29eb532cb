// SPDX-License-Identifier: Apache-2.0
// RocksDB's write-ahead log, through its public interface: a record is a Put, and the memtable is
// so large that it is never flushed. Replay is GetUpdatesSince(), its reader of the log.
#include <rocksdb/db.h>
#include <rocksdb/options.h>
#include <rocksdb/transaction_log.h>
#include <rocksdb/version.h>
#include <rocksdb/write_batch.h>

#include <atomic>
#include <memory>
#include <string>
#include <string_view>

#include "bench/peers/key.h"
#include "bench/peers/peer.h"

namespace seawall::bench {
namespace {

absl::Status ToStatus(const rocksdb::Status& status) {
  return status.ok() ? absl::OkStatus() : absl::InternalError(status.ToString());
}

rocksdb::Slice ToSlice(std::string_view bytes) { return {bytes.data(), bytes.size()}; }

// Counts the records of a batch, having seen them.
struct Counter : rocksdb::WriteBatch::Handler {
  rocksdb::Status PutCF(uint32_t, const rocksdb::Slice&, const rocksdb::Slice& value) override {
    ++records;
    seen += value.size() + static_cast<unsigned char>(value[0]);
    return rocksdb::Status::OK();
  }
  uint64_t records = 0;
  uint64_t seen = 0;
};

class RocksDb : public Peer {
 public:
  RocksDb(const RunOptions& run, bool recycle) : run_(run), recycle_(recycle) {}

  absl::Status Open() override {
    absl::Status status = OpenDatabase();
    return status.ok() && recycle_ && run_.season ? Season() : status;
  }

  absl::Status Commit(int /*thread*/, std::string_view record) override {
    return Put(record, true);
  }
  absl::Status Append(int /*thread*/, std::string_view record) override {
    return Put(record, false);
  }
  absl::Status Sync() override { return ToStatus(database_->FlushWAL(true)); }

  absl::Status Close() override {
    if (database_ == nullptr) return absl::OkStatus();
    rocksdb::Status status = database_->Close();
    database_.reset();
    return ToStatus(status);
  }

  absl::Status OpenToRead() override { return OpenDatabase(); }

  absl::Status Read(absl::FunctionRef<void(std::string_view)> visit) override {
    std::unique_ptr<rocksdb::Iterator> each(database_->NewIterator(rocksdb::ReadOptions()));
    for (each->SeekToFirst(); each->Valid(); each->Next()) {
      visit({each->value().data(), each->value().size()});
    }
    return ToStatus(each->status());
  }

  absl::StatusOr<uint64_t> Scan() override {
    std::unique_ptr<rocksdb::TransactionLogIterator> updates;
    rocksdb::Status status = database_->GetUpdatesSince(0, &updates);
    Counter counter;
    for (; status.ok() && updates->Valid(); updates->Next()) {
      status = updates->GetBatch().writeBatchPtr->Iterate(&counter);
    }
    if (status.ok()) status = updates->status();
    if (!status.ok()) return ToStatus(status);
    return counter.records;
  }

 private:
  absl::Status OpenDatabase() {
    rocksdb::Options options;
    options.create_if_missing = true;
    options.write_buffer_size = size_t{2} << 30;
    // Bounds only how much of a log file is reserved at once, there being one column family.
    options.max_total_wal_size = uint64_t{64} << 20;
    options.disable_auto_compactions = true;
    options.recycle_log_file_num = recycle_ ? 4 : 0;
    // The log that is read back is the log that was written.
    options.avoid_flush_during_recovery = true;
    options.WAL_ttl_seconds = recycle_ ? 0 : 86400;
    // Appending without waiting stays in the process, as with the others, until it is synced.
    options.manual_wal_flush = run_.workload == Workload::kAppend;
    rocksdb::DB* database = nullptr;
    rocksdb::Status status = rocksdb::DB::Open(options, run_.directory + "/db", &database);
    database_.reset(database);
    return ToStatus(status);
  }

  absl::Status Put(std::string_view record, bool sync) {
    rocksdb::WriteOptions options;
    options.sync = sync;
    return ToStatus(database_->Put(options, ToSlice(keys_.Next()), ToSlice(record)));
  }

  // Leaves a log file of 64 MiB for the next one to be written over.
  absl::Status Season() {
    constexpr int kMiB = 64;
    const std::string filler(size_t{1} << 20, '\0');
    rocksdb::Status status;
    for (int i = 0; i < kMiB && status.ok(); ++i) {
      status = database_->Put(rocksdb::WriteOptions(), "season", filler);
    }
    if (status.ok()) status = database_->Flush(rocksdb::FlushOptions());
    if (status.ok()) status = database_->Put(rocksdb::WriteOptions(), "season", "");
    if (status.ok()) status = database_->Flush(rocksdb::FlushOptions());
    return ToStatus(status);
  }

  const RunOptions run_;
  const bool recycle_;
  Keys keys_;
  std::unique_ptr<rocksdb::DB> database_;
};

[[maybe_unused]] const bool registered = [] {
  PeerInfo info;
  info.name = "rocksdb";
  info.title = "RocksDB";
  info.version = std::to_string(ROCKSDB_MAJOR) + "." + std::to_string(ROCKSDB_MINOR) + "." +
                 std::to_string(ROCKSDB_PATCH);
  info.notes = "Put, sync = true; manual_wal_flush where nothing waits";
  info.replay = true;
  info.order = 10;
  info.make = [](const RunOptions& run) -> std::unique_ptr<Peer> {
    return std::make_unique<RocksDb>(run, false);
  };
  PeerInfo recycled = info;
  recycled.name = "rocksdb-recycled";
  recycled.title = "RocksDB, recycled logs";
  recycled.notes = "the same with recycle_log_file_num = 4, a file of 64 MiB to write over";
  recycled.replay = false;
  recycled.make = [](const RunOptions& run) -> std::unique_ptr<Peer> {
    return std::make_unique<RocksDb>(run, true);
  };
  return RegisterPeer(info) && RegisterPeer(recycled);
}();

}  // namespace
}  // namespace seawall::bench
