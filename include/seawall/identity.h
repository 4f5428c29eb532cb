// SPDX-License-Identifier: Apache-2.0
// Whose log it is.
#ifndef SEAWALL_IDENTITY_H_
#define SEAWALL_IDENTITY_H_

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace seawall {

// 128 random bits that a log gets when it is created. They stay the same for as long as it exists:
// over crashes, truncations and Reset(), and in its backups and what is restored of it. A log that
// `seawall repair` makes is a new one.
//
// A program that keeps the id of its log somewhere else (in its data files, say) finds out at once
// that another log has come into the place of its own: Options::expected_id.
using LogId = std::array<uint64_t, 2>;

// 32 hexadecimal digits, those above 9 in lower case.
std::string LogIdToString(const LogId& id);
// The inverse, which takes upper case, too. Empty for any other text.
std::optional<LogId> LogIdFromString(std::string_view text);

// The most bytes of metadata that a log has. They are the user's: the version of a schema, an
// epoch. Options::metadata sets them when the log is created, Log::SetMetadata changes them.
inline constexpr uint64_t kMaxMetadataBytes = 256;

}  // namespace seawall

#endif  // SEAWALL_IDENTITY_H_
