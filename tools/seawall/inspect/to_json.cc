// SPDX-License-Identifier: Apache-2.0
#include "tools/seawall/inspect/to_json.h"

namespace seawall {

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
