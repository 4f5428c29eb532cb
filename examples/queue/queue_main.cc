// SPDX-License-Identifier: Apache-2.0
// A queue on the command line.
#include <unistd.h>

#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <string>

#include "examples/queue/queue.h"

namespace {

constexpr char kHelp[] = R"(queue: a durable queue in a directory.

Usage:
  queue DIR push               each line of the standard input is a message; durable when it ends
  queue DIR pop NAME [COUNT]   prints what NAME has not seen, COUNT messages at most, and goes on
                               behind them the next time
  queue DIR drop NAME          nothing is kept for NAME any more

What nobody wants any more is given back to the disk. `seawall stat DIR` shows who holds what.
)";

absl::Status Push(queue::Queue* queue) {
  for (std::string line; std::getline(std::cin, line);) {
    absl::StatusOr<seawall::Lsn> lsn = queue->log()->Append(line);
    if (!lsn.ok()) return lsn.status();
  }
  // What is bad of std::cin is told to C's stream below it.
  if (std::ferror(stdin) != 0) return absl::UnavailableError("the standard input cannot be read");
  return absl::OkStatus();  // Close() makes all of them durable, with one sync
}

absl::Status Pop(queue::Queue* queue, const std::string& name, uint64_t count) {
  absl::StatusOr<std::unique_ptr<queue::Consumer>> consumer = queue->Subscribe(name);
  if (!consumer.ok()) return consumer.status();
  for (; count > 0; --count) {
    absl::StatusOr<std::optional<std::string>> message = (*consumer)->Take();
    if (!message.ok()) return message.status();
    if (!message->has_value()) break;
    std::cout << **message << "\n";
  }
  // Not before the messages are out: else a crash here would lose them.
  if (!std::cout.flush()) return absl::UnavailableError("the standard output is closed");
  return (*consumer)->Done();
}

// 0 if it is no number from 1 on.
uint64_t CountOf(const char* word) {
  uint64_t count = 0;
  const char* const end = word + std::strlen(word);
  const std::from_chars_result parsed = std::from_chars(word, end, count);
  return parsed.ec == std::errc() && parsed.ptr == end ? count : 0;
}

absl::Status Run(int argc, char** argv) {
  const std::string verb = argv[2];
  absl::StatusOr<std::unique_ptr<queue::Queue>> queue = queue::Queue::Open(argv[1]);
  if (!queue.ok()) return queue.status();
  absl::Status status;
  if (verb == "push") {
    status = Push(queue->get());
  } else if (verb == "pop") {
    status = Pop(queue->get(), argv[3], argc == 5 ? CountOf(argv[4]) : ~uint64_t{0});
  } else {
    status = (*queue)->Unsubscribe(argv[3]);
  }
  const absl::Status closed = (*queue)->log()->Close();
  return status.ok() ? closed : status;
}

bool IsUsage(int argc, char** argv) {
  if (argc < 3) return false;
  const std::string verb = argv[2];
  return (verb == "push" && argc == 3) || (verb == "drop" && argc == 4) ||
         (verb == "pop" && (argc == 4 || (argc == 5 && CountOf(argv[4]) > 0)));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 2 && std::string(argv[1]) == "--help") {
    std::cout << kHelp;
    return 0;
  }
  if (!IsUsage(argc, argv)) {
    std::cerr << kHelp;
    return 2;
  }
  // `bazel run` starts us elsewhere; DIR is meant from where the user is.
  if (const char* directory = std::getenv("BUILD_WORKING_DIRECTORY")) {
    if (chdir(directory) != 0) std::perror(directory);
  }
  const absl::Status status = Run(argc, argv);
  if (!status.ok()) std::cerr << "queue: " << status.ToString() << "\n";
  return status.ok() ? 0 : 1;
}
