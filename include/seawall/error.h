// SPDX-License-Identifier: Apache-2.0
// What to do about an error.
#ifndef SEAWALL_ERROR_H_
#define SEAWALL_ERROR_H_

#include "absl/status/status.h"

namespace seawall {

enum class ErrorClass {
  kNone,     // OK
  kRefused,  // nothing happened, and nothing of it appears later; the same call may be tried again
  kLimit,    // nothing happened, and trying again alone does not help: a limit, a wrong argument, a
             // closed log, a record that is not there (any more), no permission
  kLatched,  // the log has failed; what was not acknowledged may or may not survive. Every later
             // call that needs the disk fails, too: reopen the log, and see what it holds
  kDamage,   // what is on disk is not what was written: the message names file and offset
};

// The class of a status that a function of Seawall returned or handed to a callback. It follows
// from the code alone:
//
//   OK                                        kNone
//   ResourceExhausted, Unavailable,
//   DeadlineExceeded                          kRefused
//   InvalidArgument, FailedPrecondition,
//   OutOfRange, NotFound, AlreadyExists,
//   PermissionDenied, Unimplemented,
//   Cancelled                                 kLimit
//   Aborted                                   kLatched
//   DataLoss                                  kDamage
//   any other                                 kLatched: nothing is known of it
//
// So a failure that is latched has code Aborted, whatever the kernel's error was, and no other
// error of a Log has this code.
//
// Close() is no call to try again: after any error of it the log is closed. DeadlineExceeded of it
// says that all records are durable.
ErrorClass ErrorClassOf(const absl::Status& status);

}  // namespace seawall

#endif  // SEAWALL_ERROR_H_
