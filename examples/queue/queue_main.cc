// A queue on the command line.
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
  return absl::OkStatus();  // Close() makes all of them durable, with one sync
}

absl::Status Pop(queue::Queue* queue, const std::string& name, long count) {
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

absl::Status Run(int argc, char** argv) {
  const std::string verb = argv[2];
  absl::StatusOr<std::unique_ptr<queue::Queue>> queue = queue::Queue::Open(argv[1]);
  if (!queue.ok()) return queue.status();
  absl::Status status;
  if (verb == "push") {
    status = Push(queue->get());
  } else if (verb == "pop") {
    status = Pop(queue->get(), argv[3], argc == 5 ? std::atol(argv[4]) : 1L << 40);
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
         (verb == "pop" && (argc == 4 || argc == 5));
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
  const absl::Status status = Run(argc, argv);
  if (!status.ok()) std::cerr << "queue: " << status << "\n";
  return status.ok() ? 0 : 1;
}
