// SPDX-License-Identifier: Apache-2.0
// A durable key-value store and queue that speaks the Redis protocol, journaled through Seawall.
//
//   bazel run --config=opt //examples/journal_server -- --dir=/tmp/js --port=6380
//   redis-cli -p 6380 set greeting hello
//   redis-benchmark -p 6380 -t set -c 64
//
// A write is acknowledged when it is on stable storage (--appendfsync=always): what a client was
// told survives SIGKILL and power loss. --help lists the flags.
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/flags/usage_config.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "examples/journal_server/server.h"

ABSL_FLAG(std::string, dir, "", "where the data is: log/ and snapshot; made if need be");
ABSL_FLAG(int, port, 6380, "TCP port; 0: any, printed; -1: none");
ABSL_FLAG(std::string, bind, "127.0.0.1",
          "the address that the port is opened at. There are no "
          "passwords: who can connect can do everything");
ABSL_FLAG(std::string, unixsocket, "", "path of a Unix socket");
ABSL_FLAG(
    std::string, appendfsync, "always",
    "when a write is acknowledged. always: on stable storage. everysec: in the kernel, synced "
    "once a second (a power loss takes about the last second). no: in the kernel");
ABSL_FLAG(uint32_t, maxclients, 10000, "connections at a time");
ABSL_FLAG(uint64_t, checkpoint_bytes, uint64_t{256} << 20,
          "a snapshot is written when the journal has grown so much; 0: on BGSAVE only");
ABSL_FLAG(uint64_t, segment_bytes, uint64_t{64} << 20, "length of a file of the log");
ABSL_FLAG(uint64_t, timeout, 0, "disconnect clients that were idle for so many seconds; 0: never");
ABSL_FLAG(uint64_t, stall_timeout, 60,
          "disconnect clients that read nothing of their replies for so many seconds; 0: never");

namespace journal_server {
namespace {

constexpr char kUsage[] =
    "A durable key-value store and queue that speaks the Redis protocol (RESP2).\n\n"
    "  journal_server --dir=DIR [--port=6380] [--unixsocket=PATH]\n"
    "                 [--appendfsync=always|everysec|no]\n\n"
    "Prints where it listens when it is ready. SIGTERM, SIGINT and SHUTDOWN end it in good order.";

absl::Status ReadFlags(ServerOptions* options) {
  options->directory = absl::GetFlag(FLAGS_dir);
  options->port = absl::GetFlag(FLAGS_port);
  options->bind = absl::GetFlag(FLAGS_bind);
  options->unix_socket = absl::GetFlag(FLAGS_unixsocket);
  options->max_clients = absl::GetFlag(FLAGS_maxclients);
  options->checkpoint_bytes = absl::GetFlag(FLAGS_checkpoint_bytes);
  options->segment_bytes = absl::GetFlag(FLAGS_segment_bytes);
  options->idle_seconds = absl::GetFlag(FLAGS_timeout);
  options->stall_seconds = absl::GetFlag(FLAGS_stall_timeout);
  const std::string when = absl::GetFlag(FLAGS_appendfsync);
  if (when == "always") {
    options->acknowledge = Acknowledge::kAlways;
  } else if (when == "everysec") {
    options->acknowledge = Acknowledge::kEverySecond;
  } else if (when == "no") {
    options->acknowledge = Acknowledge::kNo;
  } else {
    return absl::InvalidArgumentError(
        absl::StrCat("--appendfsync=", when, ": expected always, everysec or no"));
  }
  if (options->directory.empty()) return absl::InvalidArgumentError("--dir=DIR is missing");
  if (options->port > 65535 || options->port < -1) {
    return absl::InvalidArgumentError(
        absl::StrCat("--port=", options->port, ": expected -1 to 65535"));
  }
  if (options->port == -1 && options->unix_socket.empty()) {
    return absl::InvalidArgumentError("neither a port nor a Unix socket");
  }
  return absl::OkStatus();
}

int Main(int argc, char** argv) {
  absl::SetProgramUsageMessage(kUsage);
  // Abseil would look for the flags of a file that is called like the program.
  absl::FlagsUsageConfig usage;
  usage.contains_help_flags = [](absl::string_view file) {
    return absl::EndsWith(file, "journal_server/main.cc");
  };
  absl::SetFlagsUsageConfig(usage);
  const std::vector<char*> words = absl::ParseCommandLine(argc, argv);
  ServerOptions options;
  absl::Status status = ReadFlags(&options);
  if (words.size() != 1) status = absl::InvalidArgumentError("flags only are expected");
  if (!status.ok()) {
    std::cerr << "journal_server: " << status.message() << "\n" << kUsage << "\n";
    return 2;
  }
  // `bazel run` starts us elsewhere; --dir is meant from where the user is.
  if (const char* directory = std::getenv("BUILD_WORKING_DIRECTORY")) {
    if (chdir(directory) != 0) std::perror(directory);
  }
  // A client that went away is an error of write(2).
  std::signal(SIGPIPE, SIG_IGN);
  // So is a file that may not grow (ulimit -f).
  std::signal(SIGXFSZ, SIG_IGN);
  absl::StatusOr<std::unique_ptr<Server>> server = Server::Create(options);
  if (!server.ok()) {
    std::cerr << "journal_server: " << server.status().ToString() << "\n";
    return 1;
  }
  const Recovery& recovery = (*server)->recovery();
  std::cout << "recovered in " << recovery.elapsed_micros / 1000
            << " ms: " << recovery.snapshot_keys << " keys of a snapshot, "
            << recovery.redone_records << " records redone; log " << recovery.log_report << "\n"
            << "listening on " << (*server)->address() << std::endl;
  status = (*server)->Run();
  if (!status.ok()) std::cerr << "journal_server: " << status.ToString() << "\n";
  return status.ok() ? 0 : 1;
}

}  // namespace
}  // namespace journal_server

int main(int argc, char** argv) { return journal_server::Main(argc, argv); }
