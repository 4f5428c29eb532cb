// SPDX-License-Identifier: Apache-2.0
#include "tools/seawall/cli/command.h"

#include <sys/stat.h>

#include <cerrno>
#include <cstdio>

#include "absl/flags/flag.h"
#include "absl/strings/str_cat.h"
#include "engine/io/file_io.h"

ABSL_FLAG(bool, json, false,
          "dump, verify, stat, probe, trim, backup, restore: JSON, one object a line");
ABSL_FLAG(std::string, framing, "lines", "append, dump --raw: lines or length");
ABSL_FLAG(std::string, expected_id, "", "append, tail, trim: the id of the log, or it is refused");

namespace seawall {
namespace {

const char* NextStep(absl::StatusCode code) {
  switch (code) {
    case absl::StatusCode::kNotFound:
      return "Check the path; `seawall append DIR` creates a log.";
    case absl::StatusCode::kPermissionDenied:
      return "It takes a user who may read the directory and its files (append: write them, on a "
             "file system that is not read-only).";
    case absl::StatusCode::kUnimplemented:
      return "Use the `seawall` of the version that wrote this log.";
    case absl::StatusCode::kDataLoss:
      return "Nothing was changed. `seawall verify DIR` lists all that is damaged, `seawall dump "
             "DIR` what can still be read; `seawall repair` makes a new log of that.";
    case absl::StatusCode::kResourceExhausted:
      return "It takes more room: disk space, quota, open files or memory.";
    default:
      return "";
  }
}

}  // namespace

ExitCode Fail(const std::string& command, const absl::Status& status) {
  return Fail(command, status, NextStep(status.code()));
}

ExitCode Fail(const std::string& command, const absl::Status& status,
              const std::string& next_step) {
  std::fprintf(stderr, "seawall %s: %s\n", command.c_str(), std::string(status.message()).c_str());
  if (!next_step.empty()) std::fprintf(stderr, "%s\n", next_step.c_str());
  return absl::IsDataLoss(status) ? kExitDamaged : kExitCouldNotRun;
}

ExitCode FailUsage(const std::string& command, const std::string& problem) {
  const std::string name = command.empty() ? "seawall" : "seawall " + command;
  std::fprintf(stderr, "%s: %s\nSee `%s --help`.\n", name.c_str(), problem.c_str(), name.c_str());
  return kExitCouldNotRun;
}

ExitCode CheckParent(const std::string& command, const std::string& directory) {
  struct stat info;
  if (stat(directory.c_str(), &info) == 0 || errno != ENOENT) return kExitOk;
  const std::string parent = ParentDirectory(directory);
  if (stat(parent.c_str(), &info) == 0 || errno != ENOENT) return kExitOk;
  return Fail(command,
              absl::NotFoundError(absl::StrCat("there is no directory ", parent,
                                               " to create the log ", directory, " in")),
              absl::StrCat("Create it first: mkdir -p ", parent));
}

bool GetFraming(Framing* framing) {
  const std::string name = absl::GetFlag(FLAGS_framing);
  if (name != "lines" && name != "length") return false;
  *framing = name == "lines" ? Framing::kLines : Framing::kLengthPrefix;
  return true;
}

bool GetExpectedId(std::optional<LogId>* id) {
  const std::string text = absl::GetFlag(FLAGS_expected_id);
  *id = LogIdFromString(text);
  return text.empty() || id->has_value();
}

}  // namespace seawall
