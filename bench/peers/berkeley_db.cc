// SPDX-License-Identifier: Apache-2.0
// Berkeley DB's log subsystem by itself: log_put, flushed in groups by the library.
#include <db.h>

#include <cstring>
#include <memory>
#include <string>
#include <string_view>

#include "bench/peers/peer.h"

namespace seawall::bench {
namespace {

constexpr u_int32_t kLogFileBytes = u_int32_t{256} << 20;
constexpr u_int32_t kBufferBytes = u_int32_t{4} << 20;
constexpr u_int32_t kMutexes = 16384;  // each waiting thread takes one

absl::Status ToStatus(int code) {
  return code == 0 ? absl::OkStatus() : absl::InternalError(db_strerror(code));
}

class BerkeleyDb : public Peer {
 public:
  explicit BerkeleyDb(const RunOptions& run) : run_(run) {}
  ~BerkeleyDb() override { (void)Close(); }

  absl::Status Open() override {
    int code = db_env_create(&environment_, 0);
    if (code == 0) code = environment_->set_lg_max(environment_, kLogFileBytes);
    if (code == 0) code = environment_->set_lg_bsize(environment_, kBufferBytes);
    if (code == 0) code = environment_->mutex_set_max(environment_, kMutexes);
    if (code == 0) {
      code = environment_->open(environment_, run_.directory.c_str(),
                                DB_CREATE | DB_INIT_LOG | DB_THREAD | DB_PRIVATE, 0644);
    }
    return ToStatus(code);
  }

  absl::Status Commit(int /*thread*/, std::string_view record) override {
    return Put(record, DB_FLUSH);
  }
  absl::Status Append(int /*thread*/, std::string_view record) override { return Put(record, 0); }
  absl::Status Sync() override { return ToStatus(environment_->log_flush(environment_, nullptr)); }

  absl::Status Close() override {
    if (environment_ == nullptr) return absl::OkStatus();
    const int code = environment_->close(environment_, 0);
    environment_ = nullptr;
    return ToStatus(code);
  }

  absl::Status OpenToRead() override { return Open(); }

  absl::Status Read(absl::FunctionRef<void(std::string_view)> visit) override {
    DB_LOGC* cursor = nullptr;
    int code = environment_->log_cursor(environment_, &cursor, 0);
    if (code != 0) return ToStatus(code);
    DB_LSN lsn;
    DBT record;
    std::memset(&record, 0, sizeof(record));
    while ((code = cursor->get(cursor, &lsn, &record, DB_NEXT)) == 0) {
      visit({static_cast<const char*>(record.data), record.size});
    }
    cursor->close(cursor, 0);
    return ToStatus(code == DB_NOTFOUND ? 0 : code);
  }

 private:
  absl::Status Put(std::string_view record, u_int32_t flags) {
    DBT data;
    std::memset(&data, 0, sizeof(data));
    data.data = const_cast<char*>(record.data());
    data.size = static_cast<u_int32_t>(record.size());
    DB_LSN lsn;
    return ToStatus(environment_->log_put(environment_, &lsn, &data, flags));
  }

  const RunOptions run_;
  DB_ENV* environment_ = nullptr;
};

[[maybe_unused]] const bool registered = [] {
  int major = 0, minor = 0, patch = 0;
  db_version(&major, &minor, &patch);
  PeerInfo info;
  info.name = "berkeley_db";
  info.title = "Berkeley DB";
  info.version = std::to_string(major) + "." + std::to_string(minor) + "." + std::to_string(patch);
  info.notes = "log_put with DB_FLUSH; a log buffer of 4 MiB, files of 256 MiB";
  info.replay = true;
  info.order = 15;
  info.make = MakePeer<BerkeleyDb>;
  return RegisterPeer(info);
}();

}  // namespace
}  // namespace seawall::bench
