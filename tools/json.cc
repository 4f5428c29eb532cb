#include "tools/json.h"

#include "tools/output.h"

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

Json ToJson(const SegmentRef& segment) {
  Json json = {{"type", "segment"},
               {"generation", segment.generation},
               {"path", segment.path},
               {"first_lsn", segment.base_lsn}};
  if (segment.sealed()) {
    json["last_lsn"] = segment.last_lsn;
    json["end"] = segment.end;
  }
  return json;
}

Json ToJson(const Problem& problem) {
  return {{"type", "problem"},        {"path", problem.path},
          {"offset", problem.offset}, {"expected", problem.expected},
          {"found", problem.found},   {"consequence", problem.consequence}};
}

}  // namespace seawall
