// SPDX-License-Identifier: Apache-2.0
// LMDB has no log: a record is a transaction that puts it at the end of a tree. Records that nobody
// waits for are one transaction.
#include <lmdb.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "bench/peers/peer.h"

namespace seawall::bench {
namespace {

constexpr size_t kMapBytes = size_t{16} << 30;  // of address space

absl::Status ToStatus(int code) {
  return code == MDB_SUCCESS ? absl::OkStatus() : absl::InternalError(mdb_strerror(code));
}

class Lmdb : public Peer {
 public:
  explicit Lmdb(const RunOptions& run) : run_(run) {}
  ~Lmdb() override { (void)Close(); }

  absl::Status Open() override {
    absl::Status status = OpenEnvironment();
    if (!status.ok()) return status;
    MDB_txn* transaction = nullptr;
    status = ToStatus(mdb_txn_begin(environment_, nullptr, 0, &transaction));
    if (!status.ok()) return status;
    status = ToStatus(mdb_dbi_open(transaction, nullptr, MDB_INTEGERKEY, &table_));
    if (status.ok()) status = ToStatus(mdb_txn_commit(transaction));
    // Begun and committed by one thread, as LMDB wants it.
    if (status.ok() && run_.workload == Workload::kAppend) {
      status = ToStatus(mdb_txn_begin(environment_, nullptr, 0, &appending_));
    }
    return status;
  }

  absl::Status Commit(int /*thread*/, std::string_view record) override {
    MDB_txn* transaction = nullptr;  // waits for the one before
    int code = mdb_txn_begin(environment_, nullptr, 0, &transaction);
    if (code != MDB_SUCCESS) return ToStatus(code);
    code = Put(transaction, record);
    if (code == MDB_SUCCESS) return ToStatus(mdb_txn_commit(transaction));
    mdb_txn_abort(transaction);
    return ToStatus(code);
  }

  absl::Status Append(int /*thread*/, std::string_view record) override {
    std::lock_guard<std::mutex> lock(mutex_);
    return ToStatus(Put(appending_, record));
  }

  absl::Status Sync() override {
    MDB_txn* const transaction = appending_;
    appending_ = nullptr;
    return ToStatus(mdb_txn_commit(transaction));
  }

  absl::Status Close() override {
    if (appending_ != nullptr) mdb_txn_abort(appending_);
    if (environment_ != nullptr) mdb_env_close(environment_);
    appending_ = nullptr;
    environment_ = nullptr;
    return absl::OkStatus();
  }

  absl::Status OpenToRead() override { return OpenEnvironment(); }

  absl::Status Read(absl::FunctionRef<void(std::string_view)> visit) override {
    MDB_txn* transaction = nullptr;
    absl::Status status = ToStatus(mdb_txn_begin(environment_, nullptr, MDB_RDONLY, &transaction));
    if (!status.ok()) return status;
    MDB_cursor* cursor = nullptr;
    int code = mdb_dbi_open(transaction, nullptr, MDB_INTEGERKEY, &table_);
    if (code == MDB_SUCCESS) code = mdb_cursor_open(transaction, table_, &cursor);
    MDB_val key, value;
    while (code == MDB_SUCCESS &&
           (code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == MDB_SUCCESS) {
      visit({static_cast<const char*>(value.mv_data), value.mv_size});
    }
    if (cursor != nullptr) mdb_cursor_close(cursor);
    mdb_txn_abort(transaction);
    return ToStatus(code == MDB_NOTFOUND ? MDB_SUCCESS : code);
  }

 private:
  absl::Status OpenEnvironment() {
    absl::Status status = ToStatus(mdb_env_create(&environment_));
    if (status.ok()) status = ToStatus(mdb_env_set_mapsize(environment_, kMapBytes));
    if (status.ok()) {
      status = ToStatus(mdb_env_open(environment_, run_.directory.c_str(), 0, 0644));
    }
    return status;
  }

  // One thread at a time has the transaction.
  int Put(MDB_txn* transaction, std::string_view record) {
    uint64_t number = next_.fetch_add(1, std::memory_order_relaxed);
    std::string_view bytes = record;
    MDB_val key = {sizeof(number), &number};
    MDB_val value = {bytes.size(), const_cast<char*>(bytes.data())};
    return mdb_put(transaction, table_, &key, &value, MDB_APPEND);
  }

  const RunOptions run_;
  MDB_env* environment_ = nullptr;
  MDB_dbi table_ = 0;
  std::mutex mutex_;
  MDB_txn* appending_ = nullptr;
  std::atomic<uint64_t> next_{1};
};

[[maybe_unused]] const bool registered = [] {
  PeerInfo info;
  info.name = "lmdb";
  info.title = "LMDB";
  info.version = std::to_string(MDB_VERSION_MAJOR) + "." + std::to_string(MDB_VERSION_MINOR) + "." +
                 std::to_string(MDB_VERSION_PATCH);
  info.notes = "no log: a transaction for each commit, synced; append: one transaction";
  info.order = 14;
  info.make = MakePeer<Lmdb>;
  return RegisterPeer(info);
}();

}  // namespace
}  // namespace seawall::bench
