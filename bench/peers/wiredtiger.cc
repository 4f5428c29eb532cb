// SPDX-License-Identifier: Apache-2.0
// WiredTiger's log, through a logged table: a record is an insert that commits by itself. Replay is
// a cursor over the log, which looks each record up anew.
#include <wiredtiger.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "bench/peers/key.h"
#include "bench/peers/peer.h"

namespace seawall::bench {
namespace {

constexpr char kTable[] = "table:log";
constexpr size_t kKeyBytes = sizeof(uint64_t);

absl::Status ToStatus(int code) {
  return code == 0 ? absl::OkStatus() : absl::InternalError(wiredtiger_strerror(code));
}

WT_ITEM ToItem(std::string_view bytes) {
  WT_ITEM item = {};
  item.data = bytes.data();
  item.size = bytes.size();
  return item;
}

class WiredTiger : public Peer {
 public:
  explicit WiredTiger(const RunOptions& run) : run_(run) {}
  ~WiredTiger() override { (void)Close(); }

  absl::Status Open() override {
    absl::Status status = OpenConnection();
    if (!status.ok()) return status;
    // Sessions belong to one thread each.
    threads_.resize(static_cast<size_t>(run_.threads));
    for (Thread& thread : threads_) {
      status = ToStatus(connection_->open_session(connection_, nullptr, nullptr, &thread.session));
      if (!status.ok()) return status;
      WT_SESSION* const session = thread.session;
      if (&thread == &threads_.front()) {
        status = ToStatus(session->create(session, kTable, "key_format=u,value_format=u"));
        if (!status.ok()) return status;
      }
      status = ToStatus(session->open_cursor(session, kTable, nullptr, nullptr, &thread.cursor));
      if (!status.ok()) return status;
    }
    return absl::OkStatus();
  }

  absl::Status Commit(int thread, std::string_view record) override {
    return ToStatus(Insert(threads_[static_cast<size_t>(thread)], record));
  }

  absl::Status Append(int number, std::string_view record) override {
    const Thread& thread = threads_[static_cast<size_t>(number)];
    WT_SESSION* const session = thread.session;
    int code = session->begin_transaction(session, nullptr);
    if (code == 0) code = Insert(thread, record);
    if (code == 0) code = session->commit_transaction(session, "sync=off");
    return ToStatus(code);
  }

  absl::Status Sync() override {
    WT_SESSION* const session = threads_.front().session;
    return ToStatus(session->log_flush(session, "sync=on"));
  }

  absl::Status Close() override {
    if (connection_ == nullptr) return absl::OkStatus();
    const int code = connection_->close(connection_, nullptr);
    connection_ = nullptr;
    threads_.clear();
    return ToStatus(code);
  }

  absl::Status OpenToRead() override { return OpenConnection(); }

  absl::Status Read(absl::FunctionRef<void(std::string_view)> visit) override {
    WT_SESSION* session = nullptr;
    WT_CURSOR* cursor = nullptr;
    int code = connection_->open_session(connection_, nullptr, nullptr, &session);
    if (code == 0) code = session->open_cursor(session, kTable, nullptr, nullptr, &cursor);
    WT_ITEM value;
    while (code == 0 && (code = cursor->next(cursor)) == 0) {
      code = cursor->get_value(cursor, &value);
      if (code == 0) visit({static_cast<const char*>(value.data), value.size});
    }
    if (session != nullptr) session->close(session, nullptr);
    return ToStatus(code == WT_NOTFOUND ? 0 : code);
  }

  absl::StatusOr<uint64_t> Scan() override {
    WT_SESSION* session = nullptr;
    WT_CURSOR* cursor = nullptr;
    int code = connection_->open_session(connection_, nullptr, nullptr, &session);
    if (code == 0) code = session->open_cursor(session, "log:", nullptr, nullptr, &cursor);
    uint64_t records = 0;
    while (code == 0 && (code = cursor->next(cursor)) == 0) {
      uint64_t transaction;
      uint32_t record_type, operation, file;
      WT_ITEM key, value;
      code = cursor->get_value(cursor, &transaction, &record_type, &operation, &file, &key, &value);
      // The log has other operations, too, of tables of WiredTiger's own.
      if (record_type == WT_LOGREC_COMMIT && operation == WT_LOGOP_ROW_PUT &&
          key.size == kKeyBytes && value.size == run_.record_bytes) {
        ++records;
      }
    }
    if (session != nullptr) session->close(session, nullptr);
    if (code != WT_NOTFOUND) return ToStatus(code);
    return records;
  }

 private:
  struct Thread {
    WT_SESSION* session = nullptr;
    WT_CURSOR* cursor = nullptr;
  };

  absl::Status OpenConnection() {
    const std::string config = absl::StrCat(
        "create,session_max=", run_.threads + 32,
        // What is inserted stays in memory.
        ",cache_size=4GB,eviction_dirty_target=80,eviction_dirty_trigger=95",
        ",eviction_target=90,eviction_trigger=97",
        ",log=(enabled=true,archive=false),transaction_sync=(enabled=true,method=fsync)");
    return ToStatus(wiredtiger_open(run_.directory.c_str(), nullptr, config.c_str(), &connection_));
  }

  int Insert(const Thread& thread, std::string_view record) {
    const Key number = keys_.Next();
    const WT_ITEM key = ToItem(number);
    const WT_ITEM value = ToItem(record);
    thread.cursor->set_key(thread.cursor, &key);
    thread.cursor->set_value(thread.cursor, &value);
    return thread.cursor->insert(thread.cursor);
  }

  const RunOptions run_;
  Keys keys_;
  WT_CONNECTION* connection_ = nullptr;
  std::vector<Thread> threads_;
};

[[maybe_unused]] const bool registered = [] {
  int major = 0, minor = 0, patch = 0;
  wiredtiger_version(&major, &minor, &patch);
  PeerInfo info;
  info.name = "wiredtiger";
  info.title = "WiredTiger";
  info.version = absl::StrCat(major, ".", minor, ".", patch);
  info.notes =
      "inserts into a logged table, transaction_sync=(enabled=true,method=fsync); replays 2 MiB";
  info.replay = true;
  info.most_replay_bytes = uint64_t{2} << 20;
  info.order = 16;
  info.make = MakePeer<WiredTiger>;
  return RegisterPeer(info);
}();

}  // namespace
}  // namespace seawall::bench
