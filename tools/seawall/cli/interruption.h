// SPDX-License-Identifier: Apache-2.0
// A signal that asks the process to end, taken as the wish to end in order, and soon.
#ifndef SEAWALL_TOOLS_SEAWALL_CLI_INTERRUPTION_H_
#define SEAWALL_TOOLS_SEAWALL_CLI_INTERRUPTION_H_

#include <sys/types.h>

#include <functional>
#include <memory>
#include <string>

namespace seawall {

// From its construction on, the first SIGINT, SIGTERM or SIGHUP is kept here instead of ending the
// process. A second one ends it at once; but one that comes within a fifth of a second of the first
// is the same wish (timeout(1) sends two). SIGQUIT and SIGKILL always end it. A signal that was
// ignored (nohup) stays so. One in a process.
class Interruption {
 public:
  Interruption();
  Interruption(const Interruption&) = delete;
  Interruption& operator=(const Interruption&) = delete;

  // The signal that came, or 0.
  int signal() const;
  // "Terminated"; only after a signal.
  std::string name() const;
  // Waits until `fd` can be read, or has an error or an end to tell. False: a signal came first.
  bool WaitForInput(int fd) const;
  // Ends the process by the signal that came, so that a shell sees what happened.
  [[noreturn]] void Die() const;

  // Starts a process, which leads a group of its own, by `start`: returns its pid, or 0 if there is
  // none. When a signal comes, the group may go on for most of a second; then it is sent SIGTERM,
  // then SIGKILL. One at a time. False, and nothing is started, if that second is over.
  bool StartGroup(const std::function<pid_t()>& start);
  // Waits for the process that StartGroup() started. Returns what waitpid() reports, or -1.
  int AwaitGroup();

 private:
  friend class EndInTime;
};

// While it lives: two seconds after a signal at the latest, the process has ended. If the code
// around this has not ended it by then, a thread calls `last_words` and ends it by the signal.
// `last_words` must not wait for anything. One at a time.
class EndInTime {
 public:
  EndInTime(const Interruption& interruption, std::function<void()> last_words);
  // Waits for `last_words`, if it is being called: then the process ends here.
  ~EndInTime();
  EndInTime(const EndInTime&) = delete;
  EndInTime& operator=(const EndInTime&) = delete;

 private:
  struct State;
  const std::shared_ptr<State> state_;
};

}  // namespace seawall

#endif  // SEAWALL_TOOLS_SEAWALL_CLI_INTERRUPTION_H_
