// SPDX-License-Identifier: Apache-2.0
// Seawall itself, as Options() has it.
#include <memory>
#include <string>
#include <string_view>

#include "bench/peers/peer.h"
#include "seawall/log.h"
#include "seawall/reader.h"

namespace seawall::bench {
namespace {

class SeawallLog : public Peer {
 public:
  explicit SeawallLog(const RunOptions& run) : run_(run) {}

  absl::Status Open() override {
    auto log = Log::Open(Directory(), Options());
    if (!log.ok()) return log.status();
    log_ = std::move(*log);
    return run_.season && run_.workload != Workload::kReplay ? Season() : absl::OkStatus();
  }

  absl::Status Commit(int /*thread*/, std::string_view record) override {
    return log_->AppendDurable(record).status();
  }

  absl::Status Append(int /*thread*/, std::string_view record) override {
    return log_->Append(record).status();
  }

  absl::Status Sync() override { return log_->WaitDurable(log_->appended_lsn()); }

  absl::Status CommitAsync(std::string_view record, Completion* completion) override {
    auto lsn = log_->Append(record);
    if (!lsn.ok()) return lsn.status();
    return log_->NotifyDurable(
        *lsn, [completion](const absl::Status& status) { completion->Done(status); });
  }

  absl::Status Close() override {
    if (log_ == nullptr) return absl::OkStatus();
    absl::Status status = log_->Close();
    log_.reset();
    return status;
  }

  absl::Status OpenToRead() override { return absl::OkStatus(); }

  absl::Status Read(absl::FunctionRef<void(std::string_view)> visit) override {
    auto reader = Reader::OpenReadOnly(Directory());
    if (!reader.ok()) return reader.status();
    Record record;
    while ((*reader)->Next(&record)) visit(record.payload);
    return (*reader)->status();
  }

 private:
  std::string Directory() const { return run_.directory + "/log"; }

  // Appends and trims until there are segments to be written again, as in a log that is in use.
  absl::Status Season() {
    const std::string filler(size_t{1} << 20, '\0');
    const uint64_t wanted = Options().max_recycled_segments;
    while (log_->stats().segments_recycled < wanted) {
      auto lsn = log_->AppendDurable(filler);
      if (!lsn.ok()) return lsn.status();
      if (absl::Status status = log_->TrimBefore(*lsn); !status.ok()) return status;
    }
    return absl::OkStatus();
  }

  const RunOptions run_;
  std::unique_ptr<Log> log_;
};

[[maybe_unused]] const bool registered = [] {
  PeerInfo info;
  info.name = "seawall";
  info.title = "Seawall";
  info.notes = "Options(); segments recycled, as after long use";
  info.replay = true;
  info.async = true;
  info.order = 1;
  info.make = MakePeer<SeawallLog>;
  return RegisterPeer(info);
}();

}  // namespace
}  // namespace seawall::bench
