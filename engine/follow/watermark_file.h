// SPDX-License-Identifier: Apache-2.0
// The file WATERMARK: what readers in other processes may see (format.h, WatermarkBlock). The
// writer of the log writes it with pwrite(2) and never syncs it: it is a message through the page
// cache, which lives as long as those that read it. It is written after the sync that it reports,
// so it never runs ahead of the disk. watermark_publisher.h writes it, log_follower.cc reads it.
#ifndef SEAWALL_ENGINE_FOLLOW_WATERMARK_FILE_H_
#define SEAWALL_ENGINE_FOLLOW_WATERMARK_FILE_H_

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "engine/format/format.h"
#include "seawall/file_system.h"

namespace seawall {

// What the file says now; empty if it says nothing (yet). Unimplemented if a newer Seawall wrote
// it.
absl::StatusOr<std::optional<WatermarkBlock>> ReadWatermark(File* file, const std::string& path);

}  // namespace seawall

#endif  // SEAWALL_ENGINE_FOLLOW_WATERMARK_FILE_H_
