// SPDX-License-Identifier: Apache-2.0
// Runs the `seawall` program as a user does, and makes logs for it to look at.
#ifndef SEAWALL_TESTS_TOOL_TOOL_TEST_UTIL_H_
#define SEAWALL_TESTS_TOOL_TOOL_TEST_UTIL_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace seawall {

struct Outcome {
  int code = -1;   // exit status, or -1
  int signal = 0;  // that ended it, or 0
  std::string out;
  std::string err;
};

struct RunOptions {
  std::string input;
  std::string output_path;  // standard output, if not empty: "/dev/full"
  // Standard streams that are closed, as the shell's <&- does.
  std::vector<int> closed;
  // Standard output and error are one terminal; what it shows is Outcome::out.
  bool terminal = false;
  // Root reads and writes everything; without these capabilities file modes count.
  bool obey_modes = false;
  // flock(2) fails with this, unless it is 0.
  int flock_error = 0;
};

Outcome RunTool(const std::vector<std::string>& arguments, const RunOptions& options = {});
// seawall append `flags` `log` <`input`
Outcome RunAppend(const std::string& log, const std::string& input,
                  std::vector<std::string> flags = {});

// A directory of its own, removed with all that is in it.
class ScratchDirectory {
 public:
  ScratchDirectory();
  ~ScratchDirectory();
  ScratchDirectory(const ScratchDirectory&) = delete;
  ScratchDirectory& operator=(const ScratchDirectory&) = delete;

  std::string path(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

// "0000000000000007.seg"
std::string SegmentFile(int generation);

// Lines of a thousand bytes that begin with their number: fifteen to a segment of 16 KiB, or fewer.
std::string NumberedLine(int number);
std::string NumberedLines(int first, int last);

std::string ReadFile(const std::string& path);
void WriteFile(const std::string& path, const std::string& content);
// Inverts all bits of one byte.
void FlipByte(const std::string& path, uint64_t offset);
// Name to content of all regular files.
std::map<std::string, std::string> ReadFiles(const std::string& directory);

}  // namespace seawall

#endif  // SEAWALL_TESTS_TOOL_TOOL_TEST_UTIL_H_
