// SPDX-License-Identifier: Apache-2.0
// What the server tells about itself: INFO and CONFIG GET.
#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "examples/journal_server/server.h"

namespace journal_server {
namespace {

std::string_view NameOf(Acknowledge acknowledge) {
  switch (acknowledge) {
    case Acknowledge::kAlways:
      return "always";
    case Acknowledge::kEverySecond:
      return "everysec";
    case Acknowledge::kNo:
      break;
  }
  return "no";
}

// Lines "name:value" under a heading, as Redis has them.
class Section {
 public:
  Section(std::string_view wanted, std::string_view title, std::string* to)
      : on_(wanted.empty() || EqualsIgnoringCase(wanted, title) ||
            EqualsIgnoringCase(wanted, "all") || EqualsIgnoringCase(wanted, "everything") ||
            EqualsIgnoringCase(wanted, "default")),
        to_(to) {
    if (on_) absl::StrAppend(to_, to_->empty() ? "" : "\r\n", "# ", std::string(title), "\r\n");
  }

  template <typename Value>
  void Add(const char* name, const Value& value) {
    if (on_) absl::StrAppend(to_, name, ":", value, "\r\n");
  }

 private:
  const bool on_;
  std::string* const to_;
};

}  // namespace

std::string Server::Info(std::string_view section) {
  std::string info;
  Section server(section, "Server", &info);
  server.Add("server_name", "seawall journal_server");
  server.Add("redis_mode", "standalone");
  server.Add("process_id", getpid());
  Section clients(section, "Clients", &info);
  clients.Add("connected_clients", connections_.size());
  clients.Add("maxclients", max_clients_);
  clients.Add("clients_waiting_for_the_journal", waiting_.size());
  Section persistence(section, "Persistence", &info);
  const seawall::Stats stats = journal_->log()->stats();
  const Recovery& recovery = journal_->recovery();
  persistence.Add("appendfsync", std::string(NameOf(options_.acknowledge)));
  persistence.Add("appended_lsn", stats.appended_lsn);
  persistence.Add("written_lsn", stats.written_lsn);
  persistence.Add("durable_lsn", stats.durable_lsn);
  persistence.Add("first_lsn", stats.first_lsn);
  persistence.Add("journal_syncs", stats.syncs);
  persistence.Add("journal_write_p50_micros", stats.write_nanos.Percentile(50) / 1000);
  persistence.Add("journal_sync_p50_micros", stats.sync_nanos.Percentile(50) / 1000);
  persistence.Add("journal_sync_p99_micros", stats.sync_nanos.Percentile(99) / 1000);
  persistence.Add("journal_segments", stats.segments);
  persistence.Add("journal_rollovers", stats.rollovers);
  persistence.Add("journal_rollover_waits", stats.rollover_waits);
  persistence.Add("journal_space_waits", stats.space_waits);
  persistence.Add("journal_bytes_since_snapshot", journal_->bytes_since_snapshot());
  persistence.Add("snapshot_lsn", checkpoint_->snapshot_lsn());
  persistence.Add("rdb_bgsave_in_progress", checkpoint_->running() ? 1 : 0);
  persistence.Add("rdb_last_bgsave_status", checkpoint_->status().ok() ? "ok" : "err");
  if (!checkpoint_->status().ok()) {
    persistence.Add("snapshot_error", checkpoint_->status().ToString());
  }
  persistence.Add("snapshots_completed", checkpoint_->completed());
  persistence.Add("snapshots_failed", checkpoint_->failed());
  persistence.Add("snapshot_last_micros", checkpoint_->last_elapsed_micros());
  persistence.Add("snapshot_last_bytes", checkpoint_->last_bytes());
  persistence.Add("recovery_micros", recovery.elapsed_micros);
  persistence.Add("recovery_snapshot_keys", recovery.snapshot_keys);
  persistence.Add("recovery_redone_records", recovery.redone_records);
  persistence.Add("recovery_redone_bytes", recovery.redone_bytes);
  persistence.Add("recovery_log", recovery.log_report);
  Section counters(section, "Stats", &info);
  counters.Add("total_connections_received", accepted_);
  counters.Add("total_commands_processed", executor_->commands());
  counters.Add("expired_keys", executor_->expired_keys());
  counters.Add("rejected_connections", refused_);
  counters.Add("protocol_errors", protocol_errors_);
  counters.Add("slow_readers_disconnected", slow_readers_);
  Section keyspace(section, "Keyspace", &info);
  if (store_.size() > 0) {
    keyspace.Add("db0", absl::StrCat("keys=", store_.size(), ",expires=", store_.expiring()));
  }
  return info;
}

std::vector<std::pair<std::string, std::string>> Server::Config() {
  return {
      {"appendfsync", std::string(NameOf(options_.acknowledge))},
      {"appendonly", "yes"},
      {"bind", options_.bind},
      {"checkpoint-bytes", absl::StrCat(options_.checkpoint_bytes)},
      {"databases", "1"},
      {"dir", options_.directory},
      {"maxclients", absl::StrCat(max_clients_)},
      {"port", absl::StrCat(options_.port)},
      {"proto-max-bulk-len", absl::StrCat(kMaxRequestBytes)},
      {"save", ""},
      {"timeout", absl::StrCat(options_.idle_seconds)},
      {"unixsocket", options_.unix_socket},
  };
}

}  // namespace journal_server
