// SPDX-License-Identifier: Apache-2.0
// What becomes of a damaged log.
#ifndef SEAWALL_TESTS_DAMAGE_DAMAGE_JUDGE_H_
#define SEAWALL_TESTS_DAMAGE_DAMAGE_JUDGE_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "seawall/log.h"
#include "seawall/testing/crash_file_system.h"
#include "tests/crash/crash_model.h"
#include "tests/damage/damage_kinds.h"
#include "tests/damage/damage_logs.h"

namespace seawall {

enum Outcome { kDetectedAtOpen, kDetectedAtRead, kHarmless, kUndetectable, kOutcomes };

class Judge {
 public:
  explicit Judge(const Subject& subject) : subject_(subject) {}

  // An Outcome; kOutcomes if something is wrong, described in *wrong.
  Outcome operator()(const Damage& damage, uint64_t number, std::string* wrong);

 private:
  struct Found {
    absl::Status status;  // of opening, or of reading
    bool opened = false;
    Contents contents;  // what was returned before the end or the error
    bool knows_cursors = false;
    std::string wrong;
  };

  // Everything that a reader returns, and whether each record is the right one.
  void ReadThrough(Reader* reader, Lsn first_lsn, Found* found) const;
  Found OpenToWrite(CrashFileSystem* disk, std::unique_ptr<Log>* log);
  Found OpenReadOnly(CrashFileSystem* disk);

  // Each by itself, also those behind the damage: the right one or an error.
  std::string EachRecord(Log* log);

  // The files as the damage left them.
  Files Damaged() const;
  Outcome Classify(const Found& found, std::string* wrong);

  const Subject& subject_;
  const Damage* damage_ = nullptr;
};

}  // namespace seawall

#endif  // SEAWALL_TESTS_DAMAGE_DAMAGE_JUDGE_H_
