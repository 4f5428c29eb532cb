// SPDX-License-Identifier: Apache-2.0
// JSON for the tool's output: fields keep the order in which they are set.
#ifndef SEAWALL_TOOLS_SEAWALL_CLI_JSON_H_
#define SEAWALL_TOOLS_SEAWALL_CLI_JSON_H_

#include <string>
#include <string_view>

#include "nlohmann/json.hpp"

namespace seawall {

using Json = nlohmann::ordered_json;

// One line, without its newline. A path may hold any bytes: those that are not UTF-8 are replaced.
std::string ToLine(const Json& json);

// As `name` if they are UTF-8, else as "NAME_base64"; with `hex` as "NAME_hex".
void SetBytes(const std::string& name, std::string_view bytes, bool hex, Json* json);
// The same as "payload".
void SetPayload(std::string_view payload, bool hex, Json* json);

}  // namespace seawall

#endif  // SEAWALL_TOOLS_SEAWALL_CLI_JSON_H_
