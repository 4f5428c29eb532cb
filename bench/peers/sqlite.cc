// SPDX-License-Identifier: Apache-2.0
// SQLite in WAL mode: a record is a row of its own transaction. One connection, which the threads
// take in turns: with one each they would poll for the lock. Records that nobody waits for are rows
// of one transaction.
#include <sqlite3.h>

#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "bench/peers/peer.h"

namespace seawall::bench {
namespace {

class Sqlite : public Peer {
 public:
  explicit Sqlite(const RunOptions& run) : run_(run) {}
  ~Sqlite() override { CloseAll(); }

  absl::Status Open() override {
    absl::Status status = OpenDatabase();
    if (status.ok()) status = Execute("CREATE TABLE log (id INTEGER PRIMARY KEY, record BLOB)");
    if (status.ok()) status = Prepare("INSERT INTO log (record) VALUES (?1)");
    if (status.ok() && run_.workload == Workload::kAppend) status = Execute("BEGIN");
    return status;
  }

  absl::Status Commit(int /*thread*/, std::string_view record) override { return Insert(record); }
  absl::Status Append(int /*thread*/, std::string_view record) override { return Insert(record); }
  absl::Status Sync() override { return Execute("COMMIT"); }
  absl::Status Close() override { return CloseAll() == SQLITE_OK ? absl::OkStatus() : Error(); }
  absl::Status OpenToRead() override { return OpenDatabase(); }

  absl::Status Read(absl::FunctionRef<void(std::string_view)> visit) override {
    absl::Status status = Prepare("SELECT record FROM log ORDER BY id");
    if (!status.ok()) return status;
    int step;
    while ((step = sqlite3_step(statement_)) == SQLITE_ROW) {
      visit({static_cast<const char*>(sqlite3_column_blob(statement_, 0)),
             static_cast<size_t>(sqlite3_column_bytes(statement_, 0))});
    }
    return step == SQLITE_DONE ? absl::OkStatus() : Error();
  }

 private:
  absl::Status Error() const {
    return absl::InternalError(database_ == nullptr ? "SQLite" : sqlite3_errmsg(database_));
  }

  absl::Status OpenDatabase() {
    const std::string path = run_.directory + "/database";
    if (sqlite3_open(path.c_str(), &database_) != SQLITE_OK) return Error();
    absl::Status status = Execute("PRAGMA journal_mode = WAL");
    return status.ok() ? Execute("PRAGMA synchronous = FULL") : status;
  }

  absl::Status Execute(const char* text) {
    const int code = sqlite3_exec(database_, text, nullptr, nullptr, nullptr);
    return code == SQLITE_OK ? absl::OkStatus() : Error();
  }

  absl::Status Prepare(const char* text) {
    const int code = sqlite3_prepare_v2(database_, text, -1, &statement_, nullptr);
    return code == SQLITE_OK ? absl::OkStatus() : Error();
  }

  absl::Status Insert(std::string_view record) {
    std::lock_guard<std::mutex> lock(mutex_);
    sqlite3_bind_blob(statement_, 1, record.data(), static_cast<int>(record.size()), nullptr);
    const int step = sqlite3_step(statement_);
    if (step != SQLITE_DONE) return Error();
    return sqlite3_reset(statement_) == SQLITE_OK ? absl::OkStatus() : Error();
  }

  int CloseAll() {
    sqlite3_finalize(statement_);
    statement_ = nullptr;
    const int code = sqlite3_close(database_);
    if (code == SQLITE_OK) database_ = nullptr;
    return code;
  }

  const RunOptions run_;
  std::mutex mutex_;  // statement_
  sqlite3* database_ = nullptr;
  sqlite3_stmt* statement_ = nullptr;
};

[[maybe_unused]] const bool registered = [] {
  PeerInfo info;
  info.name = "sqlite";
  info.title = "SQLite";
  info.version = sqlite3_libversion();
  info.notes =
      "journal_mode = WAL, synchronous = FULL; one connection, a row for each commit; append: one "
      "transaction";
  info.order = 13;
  info.make = MakePeer<Sqlite>;
  return RegisterPeer(info);
}();

}  // namespace
}  // namespace seawall::bench
