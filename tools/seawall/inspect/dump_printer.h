// SPDX-License-Identifier: Apache-2.0
// The forms in which `seawall dump` prints.
#ifndef SEAWALL_TOOLS_SEAWALL_INSPECT_DUMP_PRINTER_H_
#define SEAWALL_TOOLS_SEAWALL_INSPECT_DUMP_PRINTER_H_

#include <cstdint>
#include <memory>
#include <string>

#include "engine/format/format.h"
#include "engine/segments/segment_ref.h"
#include "engine/segments/segment_scanner.h"
#include "seawall/types.h"
#include "tools/seawall/cli/framing.h"
#include "tools/seawall/cli/output.h"
#include "tools/seawall/inspect/log_view.h"

namespace seawall {

// One per form of output.
class Printer {
 public:
  virtual ~Printer() = default;
  // First, unless CONTROL is gone.
  virtual void OnLog(const ControlBlock&) {}
  virtual void OnSegment(const SegmentRef&) {}
  virtual void OnGroup(const SegmentRef&, const Group&) {}
  virtual void OnRecord(const SegmentRef&, const Record&, uint64_t offset) = 0;
  // False: it was not shown, and nothing sensible can follow.
  virtual bool OnProblem(const Problem& problem) = 0;
  virtual bool OnNote(const std::string& note) = 0;
};

// `output` must outlive them. For people:
std::unique_ptr<Printer> NewTextPrinter(Output* output, bool hex);
// One object a line.
std::unique_ptr<Printer> NewJsonPrinter(Output* output, bool hex);
// Payloads and nothing else: shows neither problems nor notes.
std::unique_ptr<Printer> NewRawPrinter(Output* output, Framing framing);

}  // namespace seawall

#endif  // SEAWALL_TOOLS_SEAWALL_INSPECT_DUMP_PRINTER_H_
