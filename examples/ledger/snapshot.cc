// SPDX-License-Identifier: Apache-2.0
#include "examples/ledger/snapshot.h"

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <numeric>
#include <system_error>

#include "absl/strings/str_cat.h"

namespace ledger {
namespace {

using seawall::File;
using seawall::FileSystem;
using seawall::IoResult;

constexpr uint64_t kMagic = 0x50414e5352474c53;  // "SLGRSNAP"
constexpr uint64_t kVersion = 1;
constexpr size_t kNumberBytes = 8;
constexpr size_t kHeaderNumbers = 6;

// Bit by bit: a table would be quicker, and a snapshot is small.
uint64_t Crc32c(const char* bytes, size_t size) {
  uint32_t crc = ~uint32_t{0};
  for (size_t i = 0; i < size; ++i) {
    crc ^= static_cast<unsigned char>(bytes[i]);
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82f63b78u : 0u);
  }
  return ~crc;
}

void PutNumber(uint64_t number, std::string* to) {
  for (size_t i = 0; i < kNumberBytes; ++i) to->push_back(static_cast<char>(number >> (8 * i)));
}

uint64_t NumberAt(const std::string& bytes, size_t index) {
  uint64_t number = 0;
  for (size_t i = 0; i < kNumberBytes; ++i) {
    number |= uint64_t{static_cast<unsigned char>(bytes[index * kNumberBytes + i])} << (8 * i);
  }
  return number;
}

std::string Encode(const State& state) {
  std::string bytes;
  for (uint64_t number : {kMagic, kVersion, uint64_t{state.lsn}, static_cast<uint64_t>(state.total),
                          uint64_t{state.balances.size()}, uint64_t{state.last_request.size()}}) {
    PutNumber(number, &bytes);
  }
  for (int64_t balance : state.balances) PutNumber(static_cast<uint64_t>(balance), &bytes);
  for (const auto& [client, request] : state.last_request) {
    PutNumber(client, &bytes);
    PutNumber(request, &bytes);
  }
  PutNumber(Crc32c(bytes.data(), bytes.size()), &bytes);
  return bytes;
}

absl::StatusOr<State> Decode(const std::string& bytes, const std::string& path) {
  const auto damage = [&path](const std::string& what) {
    return absl::DataLossError(absl::StrCat(path, ": ", what));
  };
  const size_t numbers = bytes.size() / kNumberBytes;
  if (bytes.size() % kNumberBytes != 0 || numbers < kHeaderNumbers + 1) {
    return damage(absl::StrCat(bytes.size(), " bytes are no snapshot"));
  }
  // Nothing is believed before the checksum is found right.
  const uint64_t expected = Crc32c(bytes.data(), bytes.size() - kNumberBytes);
  const uint64_t found = NumberAt(bytes, numbers - 1);
  if (found != expected) {
    return damage(absl::StrCat("checksum: expected ", expected, ", found ", found));
  }
  if (NumberAt(bytes, 0) != kMagic) return damage("not a ledger's snapshot");
  if (NumberAt(bytes, 1) != kVersion) {
    return absl::UnimplementedError(
        absl::StrCat(path, ": version ", NumberAt(bytes, 1), ", expected ", kVersion));
  }
  const uint64_t accounts = NumberAt(bytes, 4);
  const uint64_t clients = NumberAt(bytes, 5);
  if (accounts > numbers || clients > numbers ||
      numbers != kHeaderNumbers + accounts + 2 * clients + 1) {
    return damage(
        absl::StrCat(numbers, " numbers for ", accounts, " accounts and ", clients, " clients"));
  }
  State state;
  state.lsn = NumberAt(bytes, 2);
  state.total = static_cast<int64_t>(NumberAt(bytes, 3));
  size_t at = kHeaderNumbers;
  for (uint64_t i = 0; i < accounts; ++i) {
    state.balances.push_back(static_cast<int64_t>(NumberAt(bytes, at++)));
  }
  for (uint64_t i = 0; i < clients; ++i, at += 2) {
    state.last_request[static_cast<uint32_t>(NumberAt(bytes, at))] = NumberAt(bytes, at + 1);
  }
  return state;
}

// A system call may be interrupted, and may do less than it was asked to.
absl::Status WriteAll(File* file, const std::string& path, const std::string& bytes) {
  size_t done = 0;
  while (done < bytes.size()) {
    IoResult result = file->PWrite(bytes.data() + done, bytes.size() - done, done);
    if (result.error == EINTR) continue;
    if (result.error != 0) return IoError(result.error, "write", path);
    if (result.bytes == 0) return IoError(ENOSPC, "write", path);
    done += result.bytes;
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> ReadAll(File* file, const std::string& path) {
  uint64_t size = 0;
  int error = file->Size(&size);
  if (error != 0) return IoError(error, "fstat", path);
  std::string bytes(size, '\0');
  size_t done = 0;
  while (done < bytes.size()) {
    IoResult result = file->PRead(&bytes[done], bytes.size() - done, done);
    if (result.error == EINTR) continue;
    if (result.error != 0) return IoError(result.error, "read", path);
    if (result.bytes == 0) break;
    done += result.bytes;
  }
  bytes.resize(done);
  return bytes;
}

}  // namespace

absl::Status IoError(int error, const std::string& what, const std::string& path) {
  const std::string text =
      absl::StrCat(what, " ", path, ": ", std::generic_category().message(error));
  if (error == ENOENT) return absl::NotFoundError(text);
  if (error == ENOSPC || error == EDQUOT) return absl::ResourceExhaustedError(text);
  return absl::UnavailableError(text);
}

std::string SnapshotPath(const std::string& directory) { return directory + "/snapshot"; }

absl::Status WriteSnapshot(FileSystem* fs, const std::string& directory, const State& state) {
  const std::string path = SnapshotPath(directory);
  const std::string fresh_path = path + ".new";
  // What an interrupted checkpoint left.
  int error = fs->Unlink(fresh_path);
  if (error != 0 && error != ENOENT) return IoError(error, "unlink", fresh_path);
  seawall::OpenOptions create;
  create.write = create.create = create.exclusive = true;
  std::unique_ptr<File> file;
  error = fs->Open(fresh_path, create, &file);
  if (error != 0) return IoError(error, "create", fresh_path);
  absl::Status written = WriteAll(file.get(), fresh_path, Encode(state));
  if (!written.ok()) return written;
  // The data first, then the name that makes it the snapshot: the other way round, a power loss
  // could leave the name with no data. A rename is atomic, and durable with its directory.
  error = file->Sync(File::SyncKind::kFull);
  if (error != 0) return IoError(error, "fsync", fresh_path);
  error = fs->Rename(fresh_path, path);
  if (error != 0) return IoError(error, "rename", fresh_path);
  error = fs->SyncDirectory(directory);
  if (error != 0) return IoError(error, "fsync directory", directory);
  return absl::OkStatus();
}

absl::StatusOr<State> ReadSnapshot(FileSystem* fs, const std::string& directory) {
  const std::string path = SnapshotPath(directory);
  std::unique_ptr<File> file;
  int error = fs->Open(path, seawall::OpenOptions(), &file);
  if (error != 0) return IoError(error, "open", path);
  absl::StatusOr<std::string> bytes = ReadAll(file.get(), path);
  if (!bytes.ok()) return bytes.status();
  absl::StatusOr<State> state = Decode(*bytes, path);
  if (!state.ok()) return state.status();
  const int64_t sum = std::accumulate(state->balances.begin(), state->balances.end(), int64_t{0});
  if (sum != state->total) {
    return absl::DataLossError(
        absl::StrCat(path, ": the balances add up to ", sum, ", expected ", state->total));
  }
  return state;
}

}  // namespace ledger
