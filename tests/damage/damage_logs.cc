// SPDX-License-Identifier: Apache-2.0
#include "tests/damage/damage_logs.h"

#include <functional>
#include <memory>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/format/file_names.h"
#include "engine/format/format.h"
#include "gtest/gtest.h"
#include "tests/support/seed.h"

namespace seawall {

uint64_t Mix(uint64_t x) {
  x += CrashSeed() + 0x9e3779b97f4a7c15;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

Files Snapshot(const CrashFileSystem& disk) {
  Files files;
  for (const std::string& path : disk.AllFiles()) {
    if (path.back() != '/') disk.GetFile(path, &files[path]);
  }
  return files;
}

size_t Segments(const Files& files) {
  size_t count = 0;
  for (const auto& file : files) count += IsSegment(file.first) ? 1 : 0;
  return count;
}

bool HeaderOf(const std::string& bytes, SegmentHeader* header) {
  uint32_t version;
  return bytes.size() >= kSegmentHeaderBytes &&
         DecodeSegmentHeader(bytes.data(), header, &version) == DecodeResult::kValid;
}

namespace {

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
  void OpenCursor(const std::string& name) { Expect(model_->OpenCursor(name)); }
  void Advance(const std::string& name, Lsn lsn) { Expect(model_->AdvanceCursor(name, lsn)); }
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
      if (IsSegment(path)) HeaderOf(bytes, &header);
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
      if (IsSegment(path) && HeaderOf(bytes, &header)) subject_.salts.insert(header.salt);
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

void FewBytesPerBlock(Options* options) { options->group_alignment_bytes = 4096; }

// Three blocks of groups fill a segment of 16 KiB: rollovers with few bytes to flip.
void WriteThreeSegments(Writer* writer) {
  for (size_t i = 0; i < 7; ++i) writer->Append(i * 9);
  writer->AppendBatch(3, 20);
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

}  // namespace

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

namespace {

// Two cursors over two rollovers, the first of which are trimmed.
void WriteCursors(Writer* writer) {
  writer->OpenCursor("a");
  for (size_t i = 1; i <= 8; ++i) {
    writer->Append(i * 9);
    if (i == 2) writer->OpenCursor("b");
    if (i % 2 == 0) writer->Advance("a", i);
  }
  writer->Advance("b", 5);
  writer->Trim(8);
  const std::string first = absl::StrCat(kDirectory, "/", SegmentName(1));
  writer->AwaitFiles([&](const Files& files) { return files.count(first) == 0; });
  writer->Append(10);
  writer->Advance("a", 9);
}

void WithCursors(Options* options) {
  FewBytesPerBlock(options);
  options->cursors = true;
  options->segment_bytes = 24 << 10;
}

}  // namespace

Subject CursorsUnclosed() {
  Writer writer(WithCursors);
  WriteCursors(&writer);
  writer.Kill();
  return writer.Finish("unclosed, with cursors");
}

Subject CursorsClosed() {
  Writer writer(WithCursors);
  WriteCursors(&writer);
  writer.Close();
  return writer.Finish("closed, with cursors");
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

}  // namespace seawall
