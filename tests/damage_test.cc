// Damage, told apart from crashes: every bit of small logs flipped, every sector zeroed, every
// length truncated, files swapped, duplicated, deleted and replaced by earlier versions of
// themselves. Each damaged log is opened and read as a whole, and is then one of:
//
//   detected      opening or reading it is an error that names file, offset, expected and found;
//                 an Open that fails has changed nothing on disk
//   harmless      everything that was acknowledged is there, byte-identical
//   undetectable  acknowledged records at the end are gone, and nothing that is left on the disk
//                 (a watermark in any group, header or control slot) covers even one of them: such
//                 a disk is the same as one that a crash left behind before they were synced
//
// Anything else is a failure: a wrong record, a loss that something on the disk could have told, a
// crash, a hang, memory without bound.
//
// Each bit of every header, control block, group header, record header and the first 64 bytes of
// each payload is flipped; one bit of each other byte, but for a sample of zeros only in most logs.
// SEAWALL_CRASH_SEED chooses other samples; SEAWALL_DAMAGE_EVERY_BIT=1 flips each bit of each byte.
#include <sys/resource.h>

#include <array>
#include <atomic>
#include <fstream>
#include <functional>
#include <iomanip>
#include <iostream>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "engine/format.h"
#include "engine/segment.h"
#include "gtest/gtest.h"
#include "seawall/log.h"
#include "seawall/testing/crash_file_system.h"
#include "tests/crash_model.h"
#include "tests/seed.h"
#include "tests/watchdog.h"

namespace seawall {
namespace {

constexpr char kDirectory[] = "/data/log";
constexpr char kControlPath[] = "/data/log/CONTROL";
constexpr char kLockPath[] = "/data/log/LOCK";
constexpr uint64_t kSectorBytes = 512;

#ifdef SEAWALL_SMOKE
constexpr uint64_t kThinning = 211;
#else
constexpr uint64_t kThinning = 1;
#endif

bool EveryBit() { return EnvironmentOr("SEAWALL_DAMAGE_EVERY_BIT", 0) != 0; }

// splitmix64: a few bits that look random, for place `x`.
uint64_t Mix(uint64_t x) {
  x += CrashSeed() + 0x9e3779b97f4a7c15;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

using Files = std::map<std::string, std::string>;

Files Snapshot(const CrashFileSystem& disk) {
  Files files;
  for (const std::string& path : disk.AllFiles()) {
    if (path.back() != '/') disk.GetFile(path, &files[path]);
  }
  return files;
}

bool IsSegment(const std::string& path) { return absl::EndsWith(path, ".seg"); }

// ---- The logs

// A log to be damaged: all of it durable, nobody has it open.
struct Subject {
  std::string name;
  enum Depth {
    kCoarse,    // a big one: of payloads and the like a sample
    kUsual,     // of zeros behind groups a sample
    kThorough,  // a bit of each byte, also of zeros
  };
  Depth depth = kUsual;
  Options options;
  std::optional<CrashState> state;
  Files files;
  World world;
  // What each file held before, oldest first, each once.
  std::map<std::string, std::vector<std::string>> earlier;
  std::set<uint64_t> salts;  // of all its segments and spares
};

// Writes a log and keeps every version of its files.
class Writer {
 public:
  explicit Writer(const std::function<void(Options*)>& adjust = nullptr) : fs_(Crash()) {
    EXPECT_EQ(fs_->MakeDirectory("/data"), 0);
    subject_.options = ModelledLog::SmallOptions(nullptr);
    if (adjust) adjust(&subject_.options);
    Options options = subject_.options;
    options.file_system = fs_.get();
    model_.emplace(kDirectory, options);
    Open();
  }

  void Open() { Expect(model_->Open()); }
  void Append(size_t bytes) { Expect(model_->Append(bytes, Durability::kDurable)); }
  void AppendWritten(size_t bytes) { Expect(model_->Append(bytes, Durability::kWritten)); }
  void AppendBatch(size_t records, size_t bytes) {
    Expect(model_->AppendBatch(records, bytes, Durability::kDurable));
  }
  void Sync() { Expect(model_->Wait(Durability::kDurable)); }
  void Trim(Lsn lsn) { Expect(model_->TrimBefore(lsn)); }
  void Truncate(Lsn lsn) { Expect(model_->TruncateAfter(lsn)); }
  Lsn last() const { return model_->last_lsn(); }

  // SIGKILL, and all that is in the page cache reaches the disk.
  void Kill() {
    std::unique_ptr<CrashFileSystem> next = fs_->Clone();
    fs_->Freeze();
    model_->Drop();
    fs_ = std::move(next);
    fs_->SyncAll();
    model_->set_file_system(fs_.get());
    Keep();
  }
  void Close() {
    Expect(model_->Close());
    model_->Drop();
    Keep();
  }

  // A spare that was made when the process was killed, before CONTROL listed it.
  void AddUnlistedSpare() {
    SegmentHeader header;
    for (const auto& [path, bytes] : Snapshot(*fs_)) {
      uint32_t version;
      if (IsSegment(path)) DecodeSegmentHeader(bytes.data(), &header, &version);
    }
    SegmentHeader spare;
    spare.log_id = header.log_id;
    spare.generation = header.generation + 1;
    spare.salt = Mix(header.salt);
    std::string file(subject_.options.segment_bytes, '\0');
    EncodeSegmentHeader(spare, file.data());
    const std::string path = absl::StrCat(kDirectory, "/", SegmentName(spare.generation));
    EXPECT_EQ(fs_->PutFile(path, file), 0);
  }

  // The log's thread has done what it was asked to do.
  void AwaitFiles(const std::function<bool(const Files&)>& there) {
    while (!there(Snapshot(*fs_))) std::this_thread::yield();
  }

  Subject Finish(std::string name) {
    subject_.name = std::move(name);
    fs_->SyncAll();
    subject_.state = fs_->Capture();
    subject_.files = Snapshot(*fs_);
    subject_.world = model_->worlds().back();
    for (auto& [path, versions] : subject_.earlier) {
      const auto now = subject_.files.find(path);
      if (now != subject_.files.end() && versions.back() == now->second) versions.pop_back();
    }
    for (const auto& [path, bytes] : subject_.files) {
      SegmentHeader header;
      uint32_t version;
      if (IsSegment(path) &&
          DecodeSegmentHeader(bytes.data(), &header, &version) == DecodeResult::kValid) {
        subject_.salts.insert(header.salt);
      }
    }
    return std::move(subject_);
  }

 private:
  static std::unique_ptr<CrashFileSystem> Crash() {
    CrashOptions options;
    options.trace = false;
    return std::make_unique<CrashFileSystem>(options);
  }

  void Expect(const absl::Status& status) {
    EXPECT_TRUE(status.ok()) << status.message();
    Keep();
  }

  void Keep() {
    for (auto& [path, bytes] : Snapshot(*fs_)) {
      std::vector<std::string>& versions = subject_.earlier[path];
      if (versions.empty() || versions.back() != bytes) versions.push_back(bytes);
    }
  }

  std::unique_ptr<CrashFileSystem> fs_;
  std::optional<ModelledLog> model_;
  Subject subject_;
};

size_t Segments(const Files& files) {
  size_t count = 0;
  for (const auto& file : files) count += IsSegment(file.first) ? 1 : 0;
  return count;
}

void FewBytesPerBlock(Options* options) { options->group_alignment_bytes = 4096; }

// Three blocks of groups fill a segment of 16 KiB: rollovers with few bytes to flip.
void WriteThreeSegments(Writer* writer) {
  for (size_t i = 0; i < 7; ++i) writer->Append(i * 9);
  writer->AppendBatch(3, 20);
}

Subject Unclosed() {
  Writer writer(FewBytesPerBlock);
  WriteThreeSegments(&writer);
  writer.Kill();
  return writer.Finish("unclosed, three segments and a spare");
}

Subject Closed() {
  Writer writer(FewBytesPerBlock);
  WriteThreeSegments(&writer);
  writer.Close();
  return writer.Finish("closed, three segments and a spare");
}

Subject UnlistedSpare() {
  Writer writer(FewBytesPerBlock);
  for (size_t i = 0; i < 5; ++i) writer.Append(i * 9);
  writer.Kill();
  writer.AddUnlistedSpare();
  return writer.Finish("unclosed, a spare that CONTROL does not list");
}

// Several groups in one sector, some of them synced together.
Subject UnclosedDense() {
  Writer writer;
  writer.Append(10);
  writer.AppendBatch(3, 25);
  writer.AppendWritten(30);
  writer.AppendWritten(5);
  writer.Sync();
  writer.Append(0);
  writer.AppendWritten(40);
  writer.AppendWritten(3000);
  writer.Sync();
  writer.Kill();
  return writer.Finish("unclosed, one segment, small groups");
}

// Records that were written and never acknowledged behind those that were.
Subject UnclosedUnsynced() {
  Writer writer;
  writer.AppendBatch(2, 100);
  writer.Append(7);
  writer.AppendWritten(30);
  writer.AppendWritten(300);
  writer.Kill();
  return writer.Finish("unclosed, the last groups not acknowledged");
}

Subject ClosedDense() {
  Writer writer;
  writer.Append(10);
  writer.AppendBatch(3, 25);
  writer.AppendWritten(30);
  writer.Append(5);
  writer.Close();
  return writer.Finish("closed, one segment, small groups");
}

// The first group of the last segment was just written: CONTROL does not know that it was begun.
Subject JustRolledOver() {
  Writer writer(FewBytesPerBlock);
  for (size_t i = 0; i < 4; ++i) writer.Append(i * 9);
  writer.Kill();
  return writer.Finish("unclosed, the last segment just begun");
}

Subject Recovered() {
  Writer writer(FewBytesPerBlock);
  WriteThreeSegments(&writer);
  writer.Kill();
  writer.Open();
  writer.Kill();
  return writer.Finish("killed, opened, killed");
}

Subject RecoveredAndWritten() {
  Writer writer(FewBytesPerBlock);
  for (size_t i = 0; i < 5; ++i) writer.Append(i * 9);
  writer.Kill();
  writer.Open();
  for (size_t i = 0; i < 2; ++i) writer.Append(i * 9);
  writer.Kill();
  return writer.Finish("killed, opened, written to, killed");
}

Subject ClosedTwice() {
  Writer writer;
  writer.Append(50);
  writer.Close();
  writer.Open();
  writer.Append(60);
  writer.Close();
  return writer.Finish("closed, opened, closed");
}

Subject TrimmedAndRecycled() {
  Writer writer(FewBytesPerBlock);
  for (size_t i = 0; i < 7; ++i) writer.Append(i * 9);
  writer.Trim(7);
  for (size_t i = 0; i < 6; ++i) writer.Append(i * 9);
  writer.Trim(9);
  writer.AwaitFiles([](const Files& files) { return Segments(files) <= 4; });
  for (size_t i = 0; i < 4; ++i) writer.Append(i * 9);
  writer.Kill();
  return writer.Finish("unclosed, trimmed, segments recycled");
}

Subject Truncated() {
  Writer writer;
  for (size_t i = 0; i < 5; ++i) writer.Append(i * 9);
  writer.Truncate(3);
  writer.Append(20);
  writer.AppendBatch(2, 20);
  writer.Truncate(5);
  writer.Append(20);
  writer.Append(30);
  writer.Kill();
  return writer.Finish("unclosed, truncated back twice");
}

// More than a mebibyte in the last segment: it is closed without a look at it, and recovered
// without being copied as a whole.
void BigSegments(Options* options) {
  options->segment_bytes = 2 << 20;
  options->buffer_bytes = 256 << 10;
  options->max_record_bytes = 200 << 10;
}

void WriteBigTail(Writer* writer) {
  for (size_t i = 0; i < 8; ++i) writer->Append((150 << 10) + i);
  writer->AppendBatch(3, 20);
}

Subject BigUnclosed() {
  Writer writer(BigSegments);
  WriteBigTail(&writer);
  writer.Kill();
  return writer.Finish("unclosed, a long tail");
}

Subject BigClosed() {
  Writer writer(BigSegments);
  WriteBigTail(&writer);
  writer.Close();
  return writer.Finish("closed, a long tail");
}

Subject BigRecovered() {
  Writer writer(BigSegments);
  WriteBigTail(&writer);
  writer.Kill();
  writer.Open();
  writer.Append(10);
  writer.Append(20);
  writer.Kill();
  return writer.Finish("killed behind a long tail, opened, written to, killed");
}

// ---- The damage

struct Damage {
  enum Kind { kBit, kSector, kLength, kSwap, kDuplicate, kDelete, kStale, kKinds };
  Kind kind;
  std::string what;
  std::function<int(CrashFileSystem*)> apply;
  bool in_payload_or_zeros = false;
};

constexpr std::array<const char*, Damage::kKinds> kKindNames = {
    "bit flipped",         "sector zeroed", "length truncated", "files swapped",
    "copied over another", "file deleted",  "stale file"};

// Where a segment's structures begin and end.
struct Layout {
  std::vector<bool> dense;  // bytes of which each bit is flipped
  std::set<uint64_t> boundaries;
  uint64_t end = 0;  // of its groups
};

Layout LayoutOf(const std::string& path, const std::string& bytes) {
  Layout layout;
  layout.dense.resize(bytes.size());
  const auto mark = [&](uint64_t from, uint64_t count) {
    for (uint64_t i = from; i < std::min<uint64_t>(from + count, bytes.size()); ++i) {
      layout.dense[i] = true;
    }
    layout.boundaries.insert(from);
    layout.boundaries.insert(from + count);
    layout.end = std::max(layout.end, from + count);
  };
  if (!IsSegment(path)) {
    // 296 bytes of each slot bear information; all of the LOCK file is text.
    for (uint64_t slot = 0; slot < bytes.size(); slot += kControlSlotBytes) mark(slot, 296);
    return layout;
  }
  mark(0, 112);
  mark(kHeaderCopyOffset, 112);
  SegmentHeader header;
  uint32_t version;
  if (DecodeSegmentHeader(bytes.data(), &header, &version) != DecodeResult::kValid) return layout;
  uint64_t at = kSegmentHeaderBytes;
  layout.end = at;
  GroupHeader group;
  uint64_t checksum;
  while (at + kGroupHeaderBytes <= bytes.size() &&
         DecodeGroupHeader(bytes.data() + at, header.salt, at, &group, &checksum)) {
    mark(at, kGroupHeaderBytes);
    RecordCursor cursor(std::string_view(bytes).substr(at, group.group_bytes), group, header.salt);
    Record record;
    while (cursor.Next(&record) == RecordCursor::Result::kRecord) {
      mark(at + cursor.record_offset(),
           kRecordHeaderBytes + std::min<size_t>(64, record.payload.size()));
      layout.boundaries.insert(at + cursor.record_offset() + kRecordHeaderBytes +
                               record.payload.size());
    }
    at += group.group_bytes;
    layout.boundaries.insert(at);
    layout.end = at;
  }
  return layout;
}

class Damages {
 public:
  explicit Damages(const Subject& subject) : subject_(subject) {
    for (const auto& [path, bytes] : subject.files) {
      AddBits(path, bytes);
      AddSectors(path, bytes);
      AddLengths(path, bytes);
    }
    AddFiles();
  }

  const std::vector<Damage>& all() const { return all_; }

 private:
  void Add(Damage::Kind kind, std::string what, std::function<int(CrashFileSystem*)> apply,
           bool in_payload_or_zeros = false) {
    // Of the rare kinds more is left.
    const bool rare = kind != Damage::kBit && kind != Damage::kLength;
    if (kThinning == 1 || Mix(++considered_) % (rare ? kThinning / 8 : kThinning) == 0) {
      all_.push_back({kind, std::move(what), std::move(apply), in_payload_or_zeros});
    }
  }

  void AddBits(const std::string& path, const std::string& bytes) {
    const Layout layout = LayoutOf(path, bytes);
    for (uint64_t i = 0; i < bytes.size(); ++i) {
      // Zeros that nothing tells apart: everywhere in some logs, and far behind the groups.
      uint64_t step = i >= layout.end + kBlockBytes          ? 61
                      : subject_.depth == Subject::kThorough ? 1
                                                             : 13;
      if (layout.dense[i] || bytes[i] != 0) step = 1;
      if (subject_.depth == Subject::kCoarse) step = layout.dense[i] ? 8 : 6007;
      if (!EveryBit() && Mix(i) / 8 % step != 0) continue;
      const uint64_t only = Mix(i) % 8;
      for (uint64_t bit = 0; bit < 8; ++bit) {
        if ((!layout.dense[i] || step > 1) && !EveryBit() && bit != only) continue;
        Add(
            Damage::kBit, absl::StrCat("bit ", bit, " of byte ", i, " of ", path, " flipped"),
            [path, at = 8 * i + bit](CrashFileSystem* disk) { return disk->FlipBit(path, at); },
            !layout.dense[i]);
      }
    }
  }

  void AddSectors(const std::string& path, const std::string& bytes) {
    for (uint64_t at = 0; at < bytes.size(); at += kSectorBytes) {
      const uint64_t count = std::min<uint64_t>(kSectorBytes, bytes.size() - at);
      if (bytes.find_first_not_of('\0', at) >= at + count) continue;  // zeros already
      if (subject_.depth == Subject::kCoarse && at > 3 * kBlockBytes && Mix(at) % 64 != 0) continue;
      Add(Damage::kSector, absl::StrCat(count, " bytes at ", at, " of ", path, " zeroed"),
          [path, at, count](CrashFileSystem* disk) { return disk->ZeroBytes(path, at, count); });
    }
  }

  void AddLengths(const std::string& path, const std::string& bytes) {
    const Layout layout = LayoutOf(path, bytes);
    const uint64_t step = subject_.depth == Subject::kCoarse ? 65536 : 64;
    const uint64_t near = subject_.depth == Subject::kCoarse ? 1 : 9;
    std::set<uint64_t> lengths;
    for (uint64_t length = 0; length < bytes.size(); length += step) lengths.insert(length);
    for (uint64_t boundary : layout.boundaries) {
      for (uint64_t length = boundary - std::min(boundary, near); length < boundary + near;
           ++length) {
        lengths.insert(length);
      }
    }
    lengths.erase(lengths.lower_bound(bytes.size()), lengths.end());
    for (uint64_t length : lengths) {
      Add(Damage::kLength, absl::StrCat(path, " truncated to ", length, " bytes"),
          [path, length](CrashFileSystem* disk) { return disk->SetLength(path, length); });
    }
  }

  void AddFiles() {
    for (const auto& file : subject_.files) {
      const std::string& path = file.first;
      Add(Damage::kDelete, absl::StrCat(path, " deleted"),
          [path](CrashFileSystem* disk) { return disk->DeleteFile(path); });
      for (const auto& other_file : subject_.files) {
        const std::string& other = other_file.first;
        if (path == other) continue;
        Add(Damage::kDuplicate, absl::StrCat(path, " copied over ", other),
            [path, other](CrashFileSystem* disk) { return disk->CopyFile(path, other); });
        if (path < other) {
          Add(Damage::kSwap, absl::StrCat(path, " and ", other, " swapped"),
              [path, other](CrashFileSystem* disk) { return disk->SwapFiles(path, other); });
        }
      }
    }
    for (const auto& [path, versions] : subject_.earlier) {
      for (size_t i = 0; i < versions.size(); ++i) {
        const std::string& version = versions[i];
        Add(Damage::kStale, absl::StrCat(path, " as it was in version ", i),
            [path = path, version](CrashFileSystem* disk) { return disk->PutFile(path, version); });
      }
    }
  }

  const Subject& subject_;
  std::vector<Damage> all_;
  uint64_t considered_ = 0;
};

// ---- The judgement

enum Outcome { kDetectedAtOpen, kDetectedAtRead, kHarmless, kUndetectable, kOutcomes };

// The highest record that anything on this disk states to have been durable.
Lsn HighestProof(const Subject& subject, const Files& files) {
  Lsn proven = 0;
  for (const auto& [path, bytes] : files) {
    uint32_t version;
    if (path == kControlPath) {
      ControlBlock newest;
      for (uint64_t at = 0; at + kControlSlotBytes <= bytes.size(); at += kControlSlotBytes) {
        ControlBlock block;
        if (DecodeControlBlock(bytes.data() + at, &block, &version) == DecodeResult::kValid &&
            block.sequence >= newest.sequence) {
          newest = block;
        }
      }
      proven = std::max(proven, newest.durable_lsn);
      continue;
    }
    SegmentHeader header;
    if (bytes.size() >= kSegmentHeaderBytes &&
        DecodeSegmentHeader(bytes.data(), &header, &version) == DecodeResult::kValid) {
      proven = std::max(proven, header.durable_lsn);
    }
    for (uint64_t at = kSegmentHeaderBytes; at + kGroupHeaderBytes <= bytes.size();
         at += kGroupUnitBytes) {
      for (uint64_t salt : subject.salts) {
        GroupHeader group;
        uint64_t checksum;
        if (DecodeGroupHeader(bytes.data() + at, salt, at, &group, &checksum)) {
          proven = std::max(proven, group.durable_lsn);
        }
      }
    }
  }
  return proven;
}

// Empty if the error says what it has to.
std::string BadError(const absl::Status& status) {
  const std::string text(status.message());
  if (!absl::IsDataLoss(status) && !absl::IsUnimplemented(status)) {
    return absl::StrCat("an error of another kind: ", status.ToString());
  }
  for (const char* part : {kDirectory, ", offset ", "expected ", "found "}) {
    if (!absl::StrContains(text, part)) {
      return absl::StrCat("an error without '", part, "': ", status.ToString());
    }
  }
  return "";
}

struct Found {
  absl::Status status;  // of opening, or of reading
  bool opened = false;
  Contents contents;  // what was returned before the end or the error
  std::string wrong;
};

// Everything that a reader returns, and whether each record is the right one.
void ReadThrough(const World& world, Reader* reader, Lsn first_lsn, Found* found) {
  found->contents.first_lsn = first_lsn;
  Record record;
  while (reader->Next(&record)) {
    const Lsn expected = first_lsn + found->contents.records.size();
    if (record.lsn != expected || record.lsn > world.records.size() ||
        record.payload != world.records[record.lsn - 1]) {
      found->wrong = absl::StrCat("a wrong record was returned for LSN ", expected);
      return;
    }
    found->contents.records.emplace_back(record.payload);
  }
  found->status = reader->status();
}

class Judge {
 public:
  explicit Judge(const Subject& subject) : subject_(subject) {}

  // An Outcome; kOutcomes if something is wrong, described in *wrong.
  Outcome operator()(const Damage& damage, uint64_t number, std::string* wrong) {
    std::unique_ptr<CrashFileSystem> disk = subject_.state->Kill();
    if (damage.apply(disk.get()) != 0) {
      *wrong = "could not be done";
      return kOutcomes;
    }
    damage_ = &damage;

    // First without writing, then as the next writer does. Of the flipped bits a part, and a small
    // one where only a checksum sees them or nothing does, is left to the first: it is cheap, and
    // plans with the same code.
    const bool write =
        damage.kind != Damage::kBit || number % (damage.in_payload_or_zeros ? 16 : 3) == 0;
    if (!write || number % 4 == 0) {
      const Outcome outcome = Classify(OpenReadOnly(disk.get()), wrong);
      if (outcome == kOutcomes) wrong->insert(0, "read-only: ");
      if (!write || outcome == kOutcomes) return outcome;
    }
    std::unique_ptr<Log> log;
    Found found = OpenToWrite(disk.get(), &log);
    if (!found.opened) {
      Files after = Snapshot(*disk);
      Files before = Damaged();
      after.erase(kLockPath);
      before.erase(kLockPath);
      if (after != before) {
        *wrong = absl::StrCat("a failing Open changed the disk: ", found.status.ToString());
        return kOutcomes;
      }
    }
    const Outcome outcome = Classify(found, wrong);
    if (outcome != kOutcomes && log != nullptr && number % 16 == 0) {
      *wrong = EachRecord(log.get());
      if (!wrong->empty()) return kOutcomes;
    }
    disk->Freeze();  // killed: no clean close
    log.reset();
    if (outcome == kHarmless && number % 16 == 0) {
      // What was served is on the disk.
      std::unique_ptr<CrashFileSystem> later = disk->Capture().PowerLoss(CrashChoice());
      std::unique_ptr<Log> again;
      Found second = OpenToWrite(later.get(), &again);
      later->Freeze();
      if (!second.status.ok() || !(second.contents == found.contents)) {
        *wrong = absl::StrCat("opened the second time, the log is another one: ",
                              second.status.ToString());
        return kOutcomes;
      }
    }
    return outcome;
  }

 private:
  Found OpenToWrite(CrashFileSystem* disk, std::unique_ptr<Log>* log) {
    Found found;
    Options options = subject_.options;
    options.file_system = disk;
    absl::StatusOr<std::unique_ptr<Log>> opened = Log::Open(kDirectory, options);
    found.status = opened.status();
    if (!opened.ok()) return found;
    found.opened = true;
    *log = std::move(*opened);
    absl::StatusOr<std::unique_ptr<Reader>> reader = (*log)->NewReader((*log)->first_lsn());
    if (!reader.ok()) {
      found.wrong = absl::StrCat("no reader: ", reader.status().ToString());
      return found;
    }
    ReadThrough(subject_.world, reader->get(), (*log)->first_lsn(), &found);
    if (found.wrong.empty() && found.status.ok() &&
        found.contents.last_lsn() != (*log)->durable_lsn()) {
      found.wrong = absl::StrCat("read up to record ", found.contents.last_lsn(), ", durable is ",
                                 (*log)->durable_lsn());
    }
    return found;
  }

  Found OpenReadOnly(CrashFileSystem* disk) {
    Found found;
    absl::StatusOr<std::unique_ptr<Reader>> reader = Reader::OpenReadOnly(kDirectory, 0, disk);
    found.status = reader.status();
    if (!reader.ok()) return found;
    found.opened = true;
    ReadThrough(subject_.world, reader->get(), (*reader)->next_lsn(), &found);
    return found;
  }

  // Each by itself, also those behind the damage: the right one or an error.
  std::string EachRecord(Log* log) {
    for (Lsn lsn = log->first_lsn(); lsn <= log->durable_lsn(); ++lsn) {
      absl::StatusOr<std::string> record = log->Read(lsn);
      if (record.ok() && *record != subject_.world.records[lsn - 1]) {
        return absl::StrCat("Read returned a wrong record for LSN ", lsn);
      }
      if (!record.ok()) {
        std::string bad = BadError(record.status());
        if (!bad.empty()) return bad;
      }
    }
    return "";
  }

  // The files as the damage left them.
  Files Damaged() const {
    const std::unique_ptr<CrashFileSystem> disk = subject_.state->Kill();
    damage_->apply(disk.get());
    return Snapshot(*disk);
  }

  Outcome Classify(const Found& found, std::string* wrong) {
    *wrong = found.wrong;
    if (!wrong->empty()) return kOutcomes;
    if (!found.status.ok()) {
      *wrong = BadError(found.status);
      if (!wrong->empty()) return kOutcomes;
      return found.opened ? kDetectedAtRead : kDetectedAtOpen;
    }
    World without_end = subject_.world;
    *wrong = Violation(without_end, found.contents);
    if (wrong->empty()) return kHarmless;
    // A prefix all the same?
    without_end.acknowledged = 0;
    *wrong = Violation(without_end, found.contents);
    if (!wrong->empty()) return kOutcomes;
    const Lsn proven = HighestProof(subject_, Damaged());
    if (proven > found.contents.last_lsn()) {
      *wrong = absl::StrCat("lost silently: records ", found.contents.last_lsn() + 1, "..",
                            subject_.world.acknowledged, ", though the disk still knows record ",
                            proven, " to have been durable");
      return kOutcomes;
    }
    return kUndetectable;
  }

  const Subject& subject_;
  const Damage* damage_ = nullptr;
};

// ---- The sweep

using Table = std::map<int, std::array<uint64_t, kOutcomes>>;

void Print(const std::string& title, const Table& table) {
  std::cout << title << "\n"
            << std::left << std::setw(22) << "" << std::right << std::setw(9) << "damages"
            << std::setw(10) << "at open" << std::setw(10) << "at read" << std::setw(10)
            << "harmless" << std::setw(14) << "undetectable"
            << "\n";
  std::array<uint64_t, kOutcomes> sums = {};
  const auto row = [](const std::string& name, const std::array<uint64_t, kOutcomes>& counts) {
    std::cout << std::left << std::setw(22) << name << std::right << std::setw(9)
              << counts[0] + counts[1] + counts[2] + counts[3] << std::setw(10) << counts[0]
              << std::setw(10) << counts[1] << std::setw(10) << counts[2] << std::setw(14)
              << counts[3] << "\n";
  };
  for (const auto& [kind, counts] : table) {
    row(kKindNames[static_cast<size_t>(kind)], counts);
    for (size_t i = 0; i < kOutcomes; ++i) sums[i] += counts[i];
  }
  row("all", sums);
}

struct Case {
  const char* name;
  Subject (*make)();
  bool undetectable_allowed;
  Subject::Depth depth;
};

class DamageTest : public ::testing::TestWithParam<Case> {
 protected:
  static void TearDownTestSuite() { Print("All logs", total_); }

  static Table total_;
};

Table DamageTest::total_;

// Memory without bound ends the test. (The sanitizers' runtimes reserve terabytes themselves.)
void BoundMemory() {
#if !defined(SEAWALL_SMOKE)
  uint64_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages;
  const uint64_t limit = pages * 4096 + (uint64_t{3} << 30);
  const rlimit bound = {limit, RLIM_INFINITY};
  ASSERT_EQ(setrlimit(RLIMIT_AS, &bound), 0);
#endif
}

TEST_P(DamageTest, IsReportedOrDoesNoHarm) {
  BoundMemory();
  Subject subject = GetParam().make();
  subject.depth = GetParam().depth;
  ASSERT_FALSE(HasFailure());
  const Damages damages(subject);
  Table table;
  std::mutex mutex;
  std::vector<std::string> wrongs;
  std::atomic<size_t> next{0};
  const auto work = [&] {
    Watchdog watchdog;
    Judge judge(subject);
    Table mine;
    for (size_t i; (i = next++) < damages.all().size();) {
      const Damage& damage = damages.all()[i];
      watchdog.Begin(absl::StrCat(subject.name, ", ", damage.what));
      std::string wrong;
      const Outcome outcome = judge(damage, i, &wrong);
      if (outcome == kOutcomes) {
        const std::lock_guard<std::mutex> lock(mutex);
        wrongs.push_back(absl::StrCat(damage.what, ": ", wrong));
        if (wrongs.size() >= 20) return;
      } else {
        ++mine[damage.kind][outcome];
      }
    }
    const std::lock_guard<std::mutex> lock(mutex);
    for (const auto& [kind, counts] : mine) {
      for (size_t i = 0; i < kOutcomes; ++i) table[kind][i] += counts[i];
    }
  };
  std::thread second(work);
  work();
  second.join();
  for (const std::string& wrong : wrongs) {
    ADD_FAILURE() << subject.name << ", seed " << CrashSeed() << ": " << wrong;
  }
  Print(absl::StrCat(subject.name, ", ", Segments(subject.files), " segment files, records ",
                     subject.world.records.size(), ", acknowledged ", subject.world.acknowledged),
        table);
  for (const auto& [kind, counts] : table) {
    for (size_t i = 0; i < kOutcomes; ++i) total_[kind][i] += counts[i];
    // A file that is missing, too short, or in another's place is always noticed.
    if (kind == Damage::kDelete || kind == Damage::kLength || kind == Damage::kSwap) {
      EXPECT_EQ(counts[kUndetectable], 0u)
          << subject.name << ", " << kKindNames[static_cast<size_t>(kind)];
    }
    // A log that was closed, or recovered and not written to, has no group without a watermark.
    if (!GetParam().undetectable_allowed) {
      EXPECT_EQ(counts[kUndetectable], 0u)
          << subject.name << ", " << kKindNames[static_cast<size_t>(kind)];
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, DamageTest,
    ::testing::Values(Case{"Unclosed", Unclosed, true, Subject::kUsual},
                      Case{"Closed", Closed, false, Subject::kUsual},
                      Case{"UnclosedDense", UnclosedDense, true, Subject::kThorough},
                      Case{"UnclosedUnsynced", UnclosedUnsynced, true, Subject::kUsual},
                      Case{"UnlistedSpare", UnlistedSpare, true, Subject::kUsual},
                      Case{"ClosedDense", ClosedDense, false, Subject::kThorough},
                      Case{"JustRolledOver", JustRolledOver, true, Subject::kUsual},
                      Case{"Recovered", Recovered, false, Subject::kUsual},
                      Case{"RecoveredAndWritten", RecoveredAndWritten, true, Subject::kUsual},
                      Case{"ClosedTwice", ClosedTwice, false, Subject::kUsual},
                      Case{"TrimmedAndRecycled", TrimmedAndRecycled, true, Subject::kUsual},
                      Case{"Truncated", Truncated, true, Subject::kUsual},
                      Case{"BigUnclosed", BigUnclosed, true, Subject::kCoarse},
                      Case{"BigClosed", BigClosed, false, Subject::kCoarse},
                      Case{"BigRecovered", BigRecovered, true, Subject::kCoarse}),
    [](const ::testing::TestParamInfo<Case>& param) { return std::string(param.param.name); });

}  // namespace
}  // namespace seawall
