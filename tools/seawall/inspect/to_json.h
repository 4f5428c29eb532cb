// SPDX-License-Identifier: Apache-2.0
// The engine's types as JSON.
#ifndef SEAWALL_TOOLS_SEAWALL_INSPECT_TO_JSON_H_
#define SEAWALL_TOOLS_SEAWALL_INSPECT_TO_JSON_H_

#include "engine/segments/segment_ref.h"
#include "tools/seawall/cli/json.h"
#include "tools/seawall/inspect/log_view.h"

namespace seawall {

Json ToJson(const SegmentRef& segment);
Json ToJson(const Problem& problem);

}  // namespace seawall

#endif  // SEAWALL_TOOLS_SEAWALL_INSPECT_TO_JSON_H_
