// SPDX-License-Identifier: Apache-2.0
#include "examples/journal_server/snapshot.h"

#include <cerrno>
#include <cstddef>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "examples/journal_server/effect.h"
#include "xxhash.h"

namespace journal_server {

using seawall::File;
using seawall::FileSystem;
using seawall::IoResult;
using seawall::Lsn;

namespace {

constexpr uint64_t kMagic = 0x31504e53534a5753;  // "SWJSSNP1"
constexpr size_t kHeaderBytes = 16;
constexpr size_t kFrameBytes = 12;
constexpr size_t kFooterPayloadBytes = 16;
constexpr uint32_t kFooterFlag = uint32_t{1} << 31;
// More than a chunk ever has: a key that fits memory twice.
constexpr uint32_t kMaxChunkBytes = uint32_t{1} << 30;
// So that the last sync has little left to do.
constexpr uint64_t kSyncEveryBytes = 8 << 20;

enum EntryType : char { kStringEntry = 's', kListEntry = 'l' };

absl::Status IoError(int error, std::string_view what, const std::string& path) {
  const std::string text =
      absl::StrCat(std::string(what), " ", path, ": ", std::generic_category().message(error));
  if (error == ENOENT) return absl::NotFoundError(text);
  if (error == ENOSPC || error == EDQUOT) return absl::ResourceExhaustedError(text);
  return absl::UnavailableError(text);
}

template <typename Number>
void PutNumber(Number number, std::string* to) {
  for (size_t i = 0; i < sizeof(number); ++i) to->push_back(static_cast<char>(number >> (8 * i)));
}

template <typename Number>
Number GetNumber(std::string_view bytes, size_t at) {
  Number number = 0;
  for (size_t i = 0; i < sizeof(number); ++i) {
    number |= Number{static_cast<unsigned char>(bytes[at + i])} << (8 * i);
  }
  return number;
}

// Binds the payload to its place: with another length, other bytes would be looked at; with another
// begin LSN, which the header has, other records would be redone.
uint64_t Checksum(std::string_view payload, uint64_t offset, uint32_t length, Lsn begin_lsn) {
  const uint64_t place[] = {offset, length, begin_lsn};
  return XXH3_64bits_withSeed(payload.data(), payload.size(), XXH3_64bits(place, sizeof(place)));
}

// Reads a file from its beginning to its end.
class SnapshotReader {
 public:
  SnapshotReader(FileSystem* fs, const std::string& path) : fs_(fs), path_(path) {}

  absl::Status Open() {
    int error = fs_->Open(path_, {}, &file_);
    if (error != 0) return IoError(error, "open", path_);
    error = file_->Size(&size_);
    return error == 0 ? absl::OkStatus() : IoError(error, "fstat", path_);
  }

  uint64_t offset() const { return offset_; }
  uint64_t rest() const { return size_ - offset_; }

  // DataLoss if there is not so much.
  absl::Status Read(size_t bytes, std::string* to) {
    if (bytes > rest()) return Damage(absl::StrCat("expected ", bytes, " bytes, found ", rest()));
    to->resize(bytes);
    for (size_t done = 0; done < bytes;) {
      const IoResult result = file_->PRead(to->data() + done, bytes - done, offset_ + done);
      if (result.error == EINTR) continue;
      if (result.error != 0) return IoError(result.error, "read", path_);
      if (result.bytes == 0) return Damage("the file ends");
      done += result.bytes;
    }
    offset_ += bytes;
    return absl::OkStatus();
  }

  absl::Status Damage(const std::string& what) const { return DamageAt(offset_, what); }
  absl::Status DamageAt(uint64_t offset, const std::string& what) const {
    return absl::DataLossError(absl::StrCat(path_, ", offset ", offset, ": ", what));
  }

 private:
  FileSystem* const fs_;
  const std::string path_;
  std::unique_ptr<File> file_;
  uint64_t size_ = 0;
  uint64_t offset_ = 0;
};

bool ConsumeList(std::string_view* from, List* list) {
  uint64_t count = 0;
  if (!ConsumeVarint(from, &count)) return false;
  for (uint64_t i = 0; i < count; ++i) {
    std::string_view element;
    if (!ConsumeString(from, &element)) return false;
    list->emplace_back(element);
  }
  return true;
}

bool ConsumeEntry(std::string_view* from, std::string_view* key, Object* object) {
  if (from->empty()) return false;
  const char type = from->front();
  from->remove_prefix(1);
  uint64_t expire_at_ms = 0;
  if (!ConsumeString(from, key) || !ConsumeVarint(from, &object->lsn) ||
      !ConsumeVarint(from, &expire_at_ms)) {
    return false;
  }
  object->expire_at_ms = static_cast<int64_t>(expire_at_ms);
  if (type == kListEntry) return ConsumeList(from, &object->value.emplace<List>());
  std::string_view text;
  if (type != kStringEntry || !ConsumeString(from, &text)) return false;
  object->value.emplace<std::string>(text);
  return true;
}

absl::Status RestoreEntries(const SnapshotReader& reader, uint64_t offset, std::string_view payload,
                            Store* store, uint64_t* keys) {
  while (!payload.empty()) {
    std::string_view key;
    Object object;
    if (!ConsumeEntry(&payload, &key, &object)) {
      return reader.DamageAt(offset, "the chunk holds no entries");
    }
    store->Restore(key, std::move(object));
    ++*keys;
  }
  return absl::OkStatus();
}

absl::Status LoadChunks(SnapshotReader* reader, Store* store, SnapshotInfo* info) {
  std::string frame, payload;
  for (;;) {
    const uint64_t offset = reader->offset();
    absl::Status status = reader->Read(kFrameBytes, &frame);
    if (!status.ok()) return status;
    const auto length = GetNumber<uint32_t>(frame, 0);
    const uint32_t bytes = length & ~kFooterFlag;
    if (bytes > kMaxChunkBytes) {
      return reader->DamageAt(
          offset, absl::StrCat("a chunk of ", bytes, " bytes: expected at most ", kMaxChunkBytes));
    }
    status = reader->Read(bytes, &payload);
    if (!status.ok()) return status;
    const uint64_t found = Checksum(payload, offset, length, info->begin_lsn);
    const auto expected = GetNumber<uint64_t>(frame, 4);
    if (found != expected) {
      return reader->DamageAt(
          offset, absl::StrCat("checksum of a chunk: expected ", expected, ", found ", found));
    }
    if ((length & kFooterFlag) == 0) {
      status = RestoreEntries(*reader, offset, payload, store, &info->keys);
      if (!status.ok()) return status;
      continue;
    }
    if (bytes != kFooterPayloadBytes || reader->rest() != 0 ||
        GetNumber<uint64_t>(payload, 0) != info->keys) {
      return reader->DamageAt(
          offset, absl::StrCat("the footer does not suit the ", info->keys, " keys before it"));
    }
    info->end_lsn = GetNumber<uint64_t>(payload, 8);
    return absl::OkStatus();
  }
}

}  // namespace

std::string SnapshotPath(const std::string& directory) { return directory + "/snapshot"; }

void AppendEntry(std::string_view key, const Object& object, std::string* payload) {
  const List* list = object.list();
  payload->push_back(list != nullptr ? kListEntry : kStringEntry);
  AppendString(key, payload);
  AppendVarint(object.lsn, payload);
  AppendVarint(static_cast<uint64_t>(object.expire_at_ms), payload);
  if (list == nullptr) {
    AppendString(*object.string(), payload);
    return;
  }
  AppendVarint(list->size(), payload);
  for (const std::string& element : *list) AppendString(element, payload);
}

SnapshotWriter::SnapshotWriter(FileSystem* fs, const std::string& directory, Lsn begin_lsn)
    : fs_(fs != nullptr ? fs : FileSystem::Posix()),
      directory_(directory),
      path_(SnapshotPath(directory) + ".new"),
      begin_lsn_(begin_lsn) {}

absl::StatusOr<std::unique_ptr<SnapshotWriter>> SnapshotWriter::Create(FileSystem* fs,
                                                                       const std::string& directory,
                                                                       Lsn begin_lsn) {
  std::unique_ptr<SnapshotWriter> writer(new SnapshotWriter(fs, directory, begin_lsn));
  const int unlinked = writer->fs_->Unlink(writer->path_);
  if (unlinked != 0 && unlinked != ENOENT) return IoError(unlinked, "unlink", writer->path_);
  seawall::OpenOptions options;
  options.write = true;
  options.create = true;
  options.exclusive = true;
  const int error = writer->fs_->Open(writer->path_, options, &writer->file_);
  if (error != 0) return IoError(error, "create", writer->path_);
  std::string header;
  PutNumber(kMagic, &header);
  PutNumber(uint64_t{begin_lsn}, &header);
  absl::Status status = writer->Write(header);
  if (!status.ok()) return status;
  return writer;
}

SnapshotWriter::~SnapshotWriter() {
  if (file_ != nullptr && !finished_) (void)fs_->Unlink(path_);
}

absl::Status SnapshotWriter::Write(std::string_view bytes) {
  for (size_t done = 0; done < bytes.size();) {
    const IoResult result = file_->PWrite(bytes.data() + done, bytes.size() - done, offset_ + done);
    if (result.error == EINTR) continue;
    if (result.error != 0) return IoError(result.error, "write", path_);
    if (result.bytes == 0) return IoError(ENOSPC, "write", path_);
    done += result.bytes;
  }
  offset_ += bytes.size();
  return absl::OkStatus();
}

absl::Status SnapshotWriter::WriteFramed(std::string_view payload, uint32_t flag) {
  if (payload.size() > kMaxChunkBytes) {
    return absl::ResourceExhaustedError(absl::StrCat("write ", path_, ": a chunk of ",
                                                     payload.size(), " bytes: expected at most ",
                                                     kMaxChunkBytes));
  }
  const uint32_t length = static_cast<uint32_t>(payload.size()) | flag;
  std::string frame;
  PutNumber(length, &frame);
  PutNumber(Checksum(payload, offset_, length, begin_lsn_), &frame);
  absl::Status status = Write(frame);
  if (status.ok()) status = Write(payload);
  return status;
}

absl::Status SnapshotWriter::WriteChunk(std::string_view payload) {
  absl::Status status = WriteFramed(payload, 0);
  if (!status.ok() || offset_ - synced_ < kSyncEveryBytes) return status;
  synced_ = offset_;
  const int error = file_->Sync(File::SyncKind::kData);
  return error == 0 ? absl::OkStatus() : IoError(error, "sync", path_);
}

absl::Status SnapshotWriter::Finish(uint64_t keys, Lsn end_lsn) {
  std::string footer;
  PutNumber(keys, &footer);
  PutNumber(uint64_t{end_lsn}, &footer);
  absl::Status status = WriteFramed(footer, kFooterFlag);
  if (!status.ok()) return status;
  int error = file_->Sync(File::SyncKind::kFull);
  if (error != 0) return IoError(error, "sync", path_);
  error = fs_->Rename(path_, SnapshotPath(directory_));
  if (error != 0) return IoError(error, "rename", path_);
  finished_ = true;
  error = fs_->SyncDirectory(directory_);
  return error == 0 ? absl::OkStatus() : IoError(error, "sync", directory_);
}

absl::StatusOr<SnapshotInfo> LoadSnapshot(FileSystem* fs, const std::string& path, Store* store) {
  SnapshotReader reader(fs != nullptr ? fs : FileSystem::Posix(), path);
  SnapshotInfo info;
  absl::Status status = reader.Open();
  if (absl::IsNotFound(status)) return info;
  if (!status.ok()) return status;
  std::string header;
  status = reader.Read(kHeaderBytes, &header);
  if (!status.ok()) return status;
  if (GetNumber<uint64_t>(header, 0) != kMagic) {
    return reader.DamageAt(0, "not a snapshot of journal_server");
  }
  info.begin_lsn = GetNumber<uint64_t>(header, 8);
  status = LoadChunks(&reader, store, &info);
  if (!status.ok()) return status;
  return info;
}

}  // namespace journal_server
