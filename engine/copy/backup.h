// SPDX-License-Identifier: Apache-2.0
// Backups up to an LSN that is known to be durable: Log::Backup().
#ifndef SEAWALL_ENGINE_COPY_BACKUP_H_
#define SEAWALL_ENGINE_COPY_BACKUP_H_

#include <string>

#include "absl/status/statusor.h"
#include "seawall/backup.h"
#include "seawall/file_system.h"
#include "seawall/types.h"

namespace seawall {

// BackupDirectory() up to exactly `to_lsn`. 0 is no record at all, of a log that begins with the
// first one, whatever is appended meanwhile. options.to_lsn is not looked at.
// The log is read by `from`.
absl::StatusOr<BackupReport> BackupUpTo(FileSystem* from, const std::string& directory,
                                        const std::string& destination,
                                        const BackupOptions& options, Lsn to_lsn);

}  // namespace seawall

#endif  // SEAWALL_ENGINE_COPY_BACKUP_H_
