#include "tools/json.h"

namespace seawall {

std::string ToLine(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
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
