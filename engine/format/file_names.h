// SPDX-License-Identifier: Apache-2.0
// The names of the files in a log's directory.
#ifndef SEAWALL_ENGINE_FORMAT_FILE_NAMES_H_
#define SEAWALL_ENGINE_FORMAT_FILE_NAMES_H_

#include <cstdint>
#include <optional>
#include <string>

namespace seawall {

inline constexpr char kControlName[] = "CONTROL";
inline constexpr char kControlTemporaryName[] = "CONTROL.new";
inline constexpr char kLockName[] = "LOCK";
inline constexpr char kWatermarkName[] = "WATERMARK";

// "0000000000000042.seg": decimal, so that names sort as generations do.
std::string SegmentName(uint64_t generation);
std::optional<uint64_t> ParseSegmentName(const std::string& name);

}  // namespace seawall

#endif  // SEAWALL_ENGINE_FORMAT_FILE_NAMES_H_
