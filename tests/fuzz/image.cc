// SPDX-License-Identifier: Apache-2.0
#include "tests/fuzz/image.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <utility>

#include "engine/format/checksum.h"
#include "engine/format/file_names.h"
#include "engine/format/format.h"

namespace seawall {
namespace {

// As format.cc has them.
constexpr uint64_t kSegmentMagic = 0x47534c4157414553;
constexpr uint64_t kControlMagic = 0x54434c4157414553;
constexpr uint32_t kGroupMagic = 0x52475753;
constexpr size_t kSegmentHeaderUsedBytes = 112;
constexpr size_t kControlUsedBytes = 296;  // without metadata (feature 1)
// Zeros that are worth two more numbers in a serialized image.
constexpr size_t kRunBytes = 16;

template <typename T>
T Get(const std::string& bytes, size_t at) {
  T value = 0;
  if (at + sizeof(T) <= bytes.size()) std::memcpy(&value, bytes.data() + at, sizeof(T));
  return value;
}

template <typename T>
void Put(std::string* bytes, size_t at, T value) {
  if (at + sizeof(T) <= bytes->size()) std::memcpy(bytes->data() + at, &value, sizeof(T));
}

template <typename T>
void Append(std::string* bytes, T value) {
  const size_t at = bytes->size();
  bytes->resize(at + sizeof(T));
  Put(bytes, at, value);
}

class Input {
 public:
  Input(const uint8_t* data, size_t size) : data_(data), left_(size) {}

  template <typename T>
  T Take() {
    T value = 0;
    const size_t bytes = std::min(left_, sizeof(T));
    if (bytes > 0) std::memcpy(&value, data_, bytes);
    Skip(bytes);
    return value;
  }
  std::string TakeBytes(size_t bytes) {
    bytes = std::min(left_, bytes);
    std::string taken;
    if (bytes > 0) taken.assign(reinterpret_cast<const char*>(data_), bytes);
    Skip(bytes);
    return taken;
  }
  bool empty() const { return left_ == 0; }

 private:
  void Skip(size_t bytes) {
    data_ += bytes;
    left_ -= bytes;
  }
  const uint8_t* data_;
  size_t left_;
};

size_t Below(std::mt19937* random, size_t limit) { return limit == 0 ? 0 : (*random)() % limit; }
bool Chance(std::mt19937* random, size_t percent) { return Below(random, 100) < percent; }

// ---- Where things are

// What the groups of a segment say, as far as they follow one another.
struct Walk {
  std::vector<size_t> groups;
  std::vector<size_t> records;
  uint64_t end = kSegmentHeaderBytes;
  uint64_t last_lsn = 0;
  uint64_t digest = 0;
};

// With `repair`, sets the checksum of each record and group on the way.
Walk WalkGroups(std::string* bytes, bool repair) {
  Walk walk;
  const uint64_t salt = Get<uint64_t>(*bytes, 40);
  walk.last_lsn = Get<uint64_t>(*bytes, 56) - 1;
  size_t at = kSegmentHeaderBytes;
  while (at + kGroupHeaderBytes <= bytes->size() && Get<uint32_t>(*bytes, at + 8) == kGroupMagic) {
    const uint32_t group_bytes = Get<uint32_t>(*bytes, at + 12);
    const uint32_t record_count = Get<uint32_t>(*bytes, at + 16);
    const Lsn first_lsn = Get<uint64_t>(*bytes, at + 24);
    walk.groups.push_back(at);
    size_t record = at + kGroupHeaderBytes;
    for (uint32_t i = 0; i < record_count; ++i) {
      if (record + kRecordHeaderBytes > bytes->size()) break;
      const uint32_t length = Get<uint32_t>(*bytes, record + 8);
      if (length > bytes->size() - record - kRecordHeaderBytes) break;
      const uint32_t flags = Get<uint32_t>(*bytes, record + 12);
      walk.records.push_back(record);
      if (repair) {
        const uint64_t seed = Avalanche(salt ^ (uint64_t{flags} << 32 | length));
        Put(bytes, record,
            PositionedChecksum(bytes->data() + record + kRecordHeaderBytes, length, seed,
                               first_lsn + i));
      }
      record += kRecordHeaderBytes + length;
    }
    if (repair) {
      Put(bytes, at, PositionedChecksum(bytes->data() + at + 8, kGroupHeaderBytes - 8, salt, at));
    }
    walk.digest = ExtendDigest(walk.digest, Get<uint64_t>(*bytes, at));
    walk.last_lsn = first_lsn + record_count - 1;
    if (group_bytes < kGroupHeaderBytes || group_bytes > bytes->size() - at) break;
    at += group_bytes;
    walk.end = at;
  }
  return walk;
}

void SealSector(std::string* bytes, size_t at, size_t used_bytes, uint64_t magic) {
  if (at + used_bytes > bytes->size()) return;
  Put(bytes, at, magic);
  Put(bytes, at + used_bytes - 8, PositionedChecksum(bytes->data() + at, used_bytes - 8, magic, 0));
}

void RepairSegment(ImageFile* file, std::mt19937* random) {
  std::string* bytes = &file->bytes;
  if (bytes->size() < kSegmentHeaderBytes) return;
  if (Chance(random, 80)) Put(bytes, 32, uint64_t{file->generation});
  SealSector(bytes, 0, kSegmentHeaderUsedBytes, kSegmentMagic);
  if (Chance(random, 80)) {
    std::memcpy(bytes->data() + kHeaderCopyOffset, bytes->data(), kSegmentHeaderUsedBytes);
  } else {
    SealSector(bytes, kHeaderCopyOffset, kSegmentHeaderUsedBytes, kSegmentMagic);
  }
}

void RepairControl(ImageFile* file) {
  for (size_t slot = 0; slot < kControlSlots; ++slot) {
    const size_t at = slot * kControlSlotBytes;
    if (at + kMaxControlUsedBytes > file->bytes.size()) continue;
    const bool has_metadata = (Get<uint32_t>(file->bytes, at + 12) & 1) != 0;
    SealSector(&file->bytes, at, has_metadata ? kMaxControlUsedBytes : kControlUsedBytes,
               kControlMagic);
  }
}

ImageFile* Find(Image* image, ImageFile::Kind kind, uint64_t generation) {
  for (ImageFile& file : image->files) {
    if (file.kind == kind && (kind != ImageFile::kSegment || file.generation == generation)) {
      return &file;
    }
  }
  return nullptr;
}

// What a segment's header and CONTROL say of other segments becomes true.
void RepairReferences(Image* image, std::mt19937* random) {
  for (ImageFile& file : image->files) {
    if (file.kind != ImageFile::kSegment || file.bytes.size() < kSegmentHeaderBytes) continue;
    ImageFile* before = Find(image, ImageFile::kSegment, Get<uint64_t>(file.bytes, 72));
    if (before == nullptr || before == &file || !Chance(random, 80)) continue;
    const Walk walk = WalkGroups(&before->bytes, false);
    Put(&file.bytes, 56, walk.last_lsn + 1);
    Put(&file.bytes, 80, walk.end);
    Put(&file.bytes, 88, walk.digest);
  }
  ImageFile* control = Find(image, ImageFile::kControl, 0);
  if (control == nullptr) return;
  std::string* bytes = &control->bytes;
  for (size_t at = 0; at + kControlUsedBytes <= bytes->size(); at += kControlSlotBytes) {
    ImageFile* tail = Find(image, ImageFile::kSegment, Get<uint64_t>(*bytes, at + 48));
    if (tail != nullptr && Chance(random, 70)) {
      const Walk walk = WalkGroups(&tail->bytes, false);
      if (Chance(random, 50)) Put(bytes, at + 56, walk.last_lsn);
      Put(bytes, at + 72, walk.end);
      Put(bytes, at + 80, walk.digest);
      Put(bytes, at + 16, Get<uint64_t>(tail->bytes, 16));
      Put(bytes, at + 24, Get<uint64_t>(tail->bytes, 24));
    }
    const size_t entries = std::min<size_t>(Get<uint32_t>(*bytes, at + 68), kMaxControlEntries);
    for (size_t i = 0; i < entries; ++i) {
      const size_t entry = at + 96 + 24 * i;
      ImageFile* file = Find(image, ImageFile::kSegment, Get<uint64_t>(*bytes, entry));
      if (file == nullptr || !Chance(random, 70)) continue;
      Put(bytes, entry + 8, Get<uint64_t>(file->bytes, 40));
      Put(bytes, entry + 16,
          std::min<uint64_t>(Get<uint64_t>(*bytes, entry + 16), file->bytes.size()));
    }
  }
}

// ---- Changes

uint64_t Interesting(std::mt19937* random, uint64_t old) {
  switch (Below(random, 10)) {
    case 0:
      return 0;
    case 1:
      return ~uint64_t{0};
    case 2:
      return uint64_t{1} << Below(random, 64);
    case 3:
      return (uint64_t{1} << Below(random, 64)) - 1;
    case 4:
      return old + 1;
    case 5:
      return old - 1;
    case 6:
      return old + 8 * (Below(random, 9) - 4);
    case 7:
      return Below(random, 8);
    case 8:
      return kSegmentHeaderBytes * Below(random, 8);
    default:
      return uint64_t{(*random)()} << 32 | (*random)();
  }
}

void SetField(std::string* bytes, size_t at, size_t width, std::mt19937* random) {
  if (width == 4) {
    const uint32_t old = Get<uint32_t>(*bytes, at);
    Put(bytes, at, static_cast<uint32_t>(Interesting(random, old)));
  } else {
    Put(bytes, at, Interesting(random, Get<uint64_t>(*bytes, at)));
  }
}

struct Field {
  size_t at;
  size_t width;
};

template <size_t n>
void SetOneOf(const Field (&fields)[n], std::string* bytes, size_t base, std::mt19937* random) {
  const Field& field = fields[Below(random, n)];
  SetField(bytes, base + field.at, field.width, random);
}

void MutateField(ImageFile* file, std::mt19937* random) {
  constexpr Field kHeader[] = {{8, 4},  {12, 4}, {16, 8}, {32, 8}, {40, 8}, {48, 4},
                               {52, 4}, {56, 8}, {64, 8}, {72, 8}, {80, 8}, {88, 8}};
  constexpr Field kGroup[] = {{8, 4}, {12, 4}, {16, 4}, {24, 8}, {32, 8}, {40, 8}};
  constexpr Field kRecord[] = {{8, 4}, {12, 4}};
  constexpr Field kControl[] = {{8, 4},   {12, 4},  {16, 8},  {32, 8},  {40, 8}, {48, 8},
                                {56, 8},  {64, 4},  {68, 4},  {72, 8},  {80, 8}, {96, 8},
                                {104, 8}, {112, 8}, {120, 8}, {128, 8}, {136, 8}};
  std::string* bytes = &file->bytes;
  if (file->kind == ImageFile::kControl || file->kind == ImageFile::kControlTemporary) {
    SetOneOf(kControl, bytes, Below(random, kControlSlots) * kControlSlotBytes, random);
    return;
  }
  const Walk walk = WalkGroups(bytes, false);
  const size_t what = Below(random, 3);
  if (what == 0 || walk.groups.empty()) {
    SetOneOf(kHeader, bytes, Chance(random, 70) ? 0 : kHeaderCopyOffset, random);
  } else if (what == 1 || walk.records.empty()) {
    SetOneOf(kGroup, bytes, walk.groups[Below(random, walk.groups.size())], random);
  } else {
    SetOneOf(kRecord, bytes, walk.records[Below(random, walk.records.size())], random);
  }
}

void MutateWindow(ImageFile* file, std::mt19937* random, MutateBytes mutate_bytes) {
  constexpr size_t kWindowBytes = 64;
  if (file->bytes.empty()) return;
  const size_t at = Below(random, file->bytes.size());
  const size_t bytes = std::min(kWindowBytes, file->bytes.size() - at);
  mutate_bytes(reinterpret_cast<uint8_t*>(file->bytes.data() + at), bytes, bytes);
}

void MutateFiles(Image* image, std::mt19937* random) {
  std::vector<ImageFile>* files = &image->files;
  const size_t a = Below(random, files->size()), b = Below(random, files->size());
  ImageFile* file = &(*files)[a];
  switch (Below(random, 8)) {
    case 0:
      std::swap(file->bytes, (*files)[b].bytes);
      break;
    case 1:
      if (files->size() < kMaxImageFiles) {
        ImageFile copy = *file;
        copy.generation = static_cast<uint16_t>(copy.generation + 1 + Below(random, 3));
        files->push_back(std::move(copy));
      }
      break;
    case 2:
      files->erase(files->begin() + static_cast<std::ptrdiff_t>(a));
      break;
    case 3:
      file->bytes.resize(Below(random, file->bytes.size() + 1));
      break;
    case 4:
      file->bytes.resize(
          std::min(file->bytes.size() + 512 * Below(random, 17), kMaxImageFileBytes));
      break;
    case 5:
      file->generation = static_cast<uint16_t>(Interesting(random, file->generation));
      break;
    case 6:
      file->kind = static_cast<ImageFile::Kind>(Below(random, ImageFile::kKinds));
      break;
    default: {  // a sector, or a few, of one over another
      constexpr size_t kSectorBytes = 512;
      const std::string from = (*files)[b].bytes;
      const size_t sectors = std::min(from.size(), file->bytes.size()) / kSectorBytes;
      if (sectors == 0) break;
      const size_t first = Below(random, sectors);
      const size_t count = 1 + Below(random, sectors - first);
      file->bytes.replace(first * kSectorBytes, count * kSectorBytes, from, first * kSectorBytes,
                          count * kSectorBytes);
    }
  }
}

}  // namespace

std::string ImageFile::Name() const {
  switch (kind) {
    case kSegment:
    case kDirectory:
      return SegmentName(generation);
    case kControl:
      return kControlName;
    case kControlTemporary:
      return kControlTemporaryName;
    case kLock:
      return kLockName;
    case kOther:
    case kKinds:
      break;
  }
  return "notes.txt";
}

// For each file: kind, generation, length, then runs of zeros and bytes up to that length.
Image Image::Parse(const uint8_t* data, size_t size) {
  Image image;
  Input input(data, size);
  while (!input.empty() && image.files.size() < kMaxImageFiles) {
    ImageFile file;
    file.kind = static_cast<ImageFile::Kind>(input.Take<uint8_t>() % ImageFile::kKinds);
    file.generation = input.Take<uint16_t>();
    const size_t length = std::min<size_t>(input.Take<uint32_t>(), kMaxImageFileBytes);
    while (file.bytes.size() < length && !input.empty()) {
      const size_t zeros = input.Take<uint16_t>();
      file.bytes.append(zeros, '\0');
      file.bytes += input.TakeBytes(input.Take<uint16_t>());
    }
    file.bytes.resize(length);
    image.files.push_back(std::move(file));
  }
  return image;
}

std::string Image::Serialize() const {
  std::string out;
  for (const ImageFile& file : files) {
    const std::string& bytes = file.bytes;
    Append(&out, static_cast<uint8_t>(file.kind));
    Append(&out, file.generation);
    Append(&out, static_cast<uint32_t>(bytes.size()));
    for (size_t at = 0; at < bytes.size();) {
      constexpr size_t kMost = 0xffff;
      size_t begin = bytes.find_first_not_of('\0', at);
      begin = std::min(std::min(begin, bytes.size()), at + kMost);
      size_t end = begin, zeros = 0;
      while (end < bytes.size() && end - begin < kMost && zeros < kRunBytes) {
        zeros = bytes[end++] == '\0' ? zeros + 1 : 0;
      }
      if (end != bytes.size() || zeros == kRunBytes) end -= zeros;
      Append(&out, static_cast<uint16_t>(begin - at));
      Append(&out, static_cast<uint16_t>(end - begin));
      out.append(bytes, begin, end - begin);
      at = end;
    }
  }
  return out;
}

Image Image::Of(const CrashFileSystem& disk, const std::string& directory) {
  Image image;
  for (const std::string& path : disk.AllFiles()) {
    ImageFile file;
    if (path.compare(0, directory.size() + 1, directory + "/") != 0 || path.back() == '/') continue;
    const std::string name = path.substr(directory.size() + 1);
    if (const std::optional<uint64_t> generation = ParseSegmentName(name)) {
      file.generation = static_cast<uint16_t>(*generation);
    } else {
      file.kind = name == kControlName            ? ImageFile::kControl
                  : name == kControlTemporaryName ? ImageFile::kControlTemporary
                  : name == kLockName             ? ImageFile::kLock
                                                  : ImageFile::kOther;
    }
    disk.GetFile(path, &file.bytes);
    image.files.push_back(std::move(file));
  }
  return image;
}

void Image::PutOn(CrashFileSystem* disk, const std::string& directory) const {
  disk->MakeDirectory(directory);
  for (const ImageFile& file : files) {
    const std::string path = directory + "/" + file.Name();
    if (file.kind == ImageFile::kDirectory) {
      disk->MakeDirectory(path);
    } else {
      disk->PutFile(path, file.bytes);
    }
  }
  disk->SyncAll();
}

void MutateImage(Image* image, std::mt19937* random, MutateBytes mutate_bytes) {
  const size_t changes = 1 + Below(random, 3);
  for (size_t i = 0; i < changes && !image->files.empty(); ++i) {
    ImageFile* file = &image->files[Below(random, image->files.size())];
    const size_t what = Below(random, 10);
    if (what < 5) {
      MutateField(file, random);
    } else if (what < 7) {
      MutateWindow(file, random, mutate_bytes);
    } else {
      MutateFiles(image, random);
    }
  }
}

void RepairImage(Image* image, std::mt19937* random) {
  for (ImageFile& file : image->files) {
    if (file.kind == ImageFile::kSegment && Chance(random, 90)) WalkGroups(&file.bytes, true);
  }
  if (Chance(random, 70)) RepairReferences(image, random);
  for (ImageFile& file : image->files) {
    if (!Chance(random, 95)) continue;
    if (file.kind == ImageFile::kSegment) RepairSegment(&file, random);
    if (file.kind == ImageFile::kControl) RepairControl(&file);
  }
}

}  // namespace seawall
