// SPDX-License-Identifier: Apache-2.0
#include "tools/seawall/inspect/dump_printer.h"

#include <string_view>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "engine/base/little_endian.h"
#include "tools/seawall/cli/json.h"
#include "tools/seawall/inspect/to_json.h"

namespace seawall {
namespace {

constexpr size_t kShownBytes = 200;

class TextPrinter : public Printer {
 public:
  TextPrinter(Output* output, bool hex) : output_(output), hex_(hex) {}

  void OnLog(const ControlBlock& control) override {
    const std::string metadata = hex_ ? HexBytes(control.metadata) : EscapeBytes(control.metadata);
    output_->WriteLine(absl::StrCat("log ", LogIdToString(control.log_id),
                                    metadata.empty() ? "" : "  metadata ", metadata));
  }
  void OnSegment(const SegmentRef& segment) override {
    output_->WriteLine(absl::StrCat("segment ", segment.generation, "  ", segment.path, "  ",
                                    segment.sealed()
                                        ? FormatRecords(segment.base_lsn, segment.last_lsn)
                                        : absl::StrCat("from record ", segment.base_lsn)));
  }
  void OnGroup(const SegmentRef&, const Group& group) override {
    output_->WriteLine(absl::StrCat(
        "  group at ", group.offset, "  ", group.header.group_bytes, " bytes  ",
        FormatRecords(group.header.first_lsn, group.header.last_lsn()), "  sealed ",
        FormatMicros(group.header.sealed_unix_micros), "  durable ", group.header.durable_lsn));
  }
  void OnRecord(const SegmentRef&, const Record& record, uint64_t) override {
    const std::string head =
        absl::StrFormat("    %d%s  %s", record.lsn, record.batch_continues ? " +" : "",
                        FormatBytes(record.payload.size()));
    if (hex_) {
      output_->WriteLine(head);
      output_->Write(HexDump(record.payload, "      "));
      return;
    }
    if (record.payload.empty()) {
      output_->WriteLine(head);
      return;
    }
    std::string text = EscapeBytes(record.payload.substr(0, kShownBytes));
    if (record.payload.size() > kShownBytes) {
      absl::StrAppend(&text, "... and ", FormatBytes(record.payload.size() - kShownBytes));
    }
    output_->WriteLine(absl::StrCat(head, "  ", text));
  }
  bool OnProblem(const Problem& problem) override {
    output_->WriteLine(absl::StrCat("DAMAGE ", problem.ToString(), ": ", problem.consequence));
    return true;
  }
  bool OnNote(const std::string& note) override {
    output_->WriteLine(absl::StrCat("note: ", note));
    return true;
  }

 private:
  Output* const output_;
  const bool hex_;
};

class JsonPrinter : public Printer {
 public:
  JsonPrinter(Output* output, bool hex) : output_(output), hex_(hex) {}

  void OnLog(const ControlBlock& control) override {
    Json json = {{"type", "log"}, {"log_id", LogIdToString(control.log_id)}};
    SetBytes("metadata", control.metadata, hex_, &json);
    output_->WriteLine(ToLine(json));
  }
  void OnSegment(const SegmentRef& segment) override {
    output_->WriteLine(ToLine(ToJson(segment)));
  }
  void OnGroup(const SegmentRef& segment, const Group& group) override {
    output_->WriteLine(ToLine({{"type", "group"},
                               {"generation", segment.generation},
                               {"offset", group.offset},
                               {"bytes", group.header.group_bytes},
                               {"first_lsn", group.header.first_lsn},
                               {"last_lsn", group.header.last_lsn()},
                               {"records", group.header.record_count},
                               {"durable_lsn", group.header.durable_lsn},
                               {"sealed", FormatMicros(group.header.sealed_unix_micros)}}));
  }
  void OnRecord(const SegmentRef& segment, const Record& record, uint64_t offset) override {
    Json json = {{"type", "record"},
                 {"lsn", record.lsn},
                 {"generation", segment.generation},
                 {"offset", offset},
                 {"bytes", record.payload.size()},
                 {"batch_continues", record.batch_continues}};
    SetPayload(record.payload, hex_, &json);
    output_->WriteLine(ToLine(json));
  }
  bool OnProblem(const Problem& problem) override {
    output_->WriteLine(ToLine(ToJson(problem)));
    return true;
  }
  bool OnNote(const std::string& note) override {
    output_->WriteLine(ToLine({{"type", "note"}, {"note", note}}));
    return true;
  }

 private:
  Output* const output_;
  const bool hex_;
};

class RawPrinter : public Printer {
 public:
  RawPrinter(Output* output, Framing framing) : output_(output), framing_(framing) {}

  void OnRecord(const SegmentRef&, const Record& record, uint64_t) override {
    if (framing_ == Framing::kLengthPrefix) {
      char length[4];
      PutU32(length, static_cast<uint32_t>(record.payload.size()));
      output_->Write(std::string_view(length, sizeof(length)));
    }
    output_->Write(record.payload);
  }
  bool OnProblem(const Problem&) override { return false; }
  bool OnNote(const std::string&) override { return false; }

 private:
  Output* const output_;
  const Framing framing_;
};

}  // namespace

std::unique_ptr<Printer> NewTextPrinter(Output* output, bool hex) {
  return std::make_unique<TextPrinter>(output, hex);
}

std::unique_ptr<Printer> NewJsonPrinter(Output* output, bool hex) {
  return std::make_unique<JsonPrinter>(output, hex);
}

std::unique_ptr<Printer> NewRawPrinter(Output* output, Framing framing) {
  return std::make_unique<RawPrinter>(output, framing);
}

}  // namespace seawall
