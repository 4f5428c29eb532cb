// SPDX-License-Identifier: Apache-2.0
#include "tools/seawall/cli/json.h"

#include "tools/seawall/cli/output.h"

namespace seawall {

std::string ToLine(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

void SetPayload(std::string_view payload, bool hex, Json* json) {
  if (hex) {
    (*json)["payload_hex"] = HexBytes(payload);
  } else if (IsUtf8(payload)) {
    (*json)["payload"] = std::string(payload);
  } else {
    (*json)["payload_base64"] = Base64Bytes(payload);
  }
}

}  // namespace seawall
