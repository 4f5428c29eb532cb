// SPDX-License-Identifier: Apache-2.0
// A signal that asks the process to end, taken as the wish to end in order.
#ifndef SEAWALL_TOOLS_SEAWALL_CLI_INTERRUPTION_H_
#define SEAWALL_TOOLS_SEAWALL_CLI_INTERRUPTION_H_

namespace seawall {

// From its construction on, the first SIGINT, SIGTERM or SIGHUP is kept here instead of ending the
// process, and further ones are dropped: timeout(1) sends two. SIGQUIT and SIGKILL still end it. A
// signal that was ignored (nohup) stays so. One in a process.
class Interruption {
 public:
  Interruption();
  Interruption(const Interruption&) = delete;
  Interruption& operator=(const Interruption&) = delete;

  // The signal that came, or 0.
  int signal() const;
  // Waits until `fd` can be read, or has an error or an end to tell. False: a signal came first.
  bool WaitForInput(int fd) const;
  // Ends the process by the signal that came, so that a shell sees what happened.
  [[noreturn]] void Die() const;
};

}  // namespace seawall

#endif  // SEAWALL_TOOLS_SEAWALL_CLI_INTERRUPTION_H_
