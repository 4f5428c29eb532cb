// SPDX-License-Identifier: Apache-2.0
#include "tools/seawall/cli/json.h"

#include "tools/seawall/cli/output.h"

namespace seawall {

std::string ToLine(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

void SetBytes(const std::string& name, std::string_view bytes, bool hex, Json* json) {
  if (hex) {
    (*json)[name + "_hex"] = HexBytes(bytes);
  } else if (IsUtf8(bytes)) {
    (*json)[name] = std::string(bytes);
  } else {
    (*json)[name + "_base64"] = Base64Bytes(bytes);
  }
}

void SetPayload(std::string_view payload, bool hex, Json* json) {
  SetBytes("payload", payload, hex, json);
}

}  // namespace seawall
