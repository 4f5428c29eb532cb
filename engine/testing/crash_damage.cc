// SPDX-License-Identifier: Apache-2.0
// CrashFileSystem: looking at the disk and damaging it, beside the seam.
#include <algorithm>
#include <mutex>

#include "engine/testing/crash_disk.h"
#include "engine/testing/crash_kernel.h"
#include "seawall/testing/crash_file_system.h"

namespace seawall {

using crash_internal::InodeId;
using crash_internal::Kernel;
using crash_internal::kRootInode;
using crash_internal::Place;
using Guard = std::lock_guard<std::mutex>;

namespace {

std::string Contents(const Kernel& kernel, InodeId id) {
  std::string contents(kernel.disk.Get(id)->size, '\0');
  kernel.disk.Read(id, &contents[0], contents.size(), 0);
  return contents;
}

int Put(Kernel* kernel, const std::string& path, const std::string& contents) {
  Place place;
  if (const int error = kernel->Resolve(path, &place); error != 0) return error;
  if (place.must_be_directory) return EISDIR;
  if (place.inode == 0) {
    place.inode = kernel->disk.Create(place.directory, place.name, false, 0);
    kernel->disk.SyncDirectory(place.directory);
  }
  if (kernel->disk.Get(place.inode)->is_directory) return EISDIR;
  kernel->disk.Resize(place.inode, 0, 0);
  kernel->disk.PutBytes(place.inode, 0, contents);
  kernel->disk.SyncFile(place.inode);
  return 0;
}

void AddFiles(const Kernel& kernel, InodeId directory, const std::string& prefix,
              std::vector<std::string>* paths) {
  for (const auto& [name, id] : kernel.disk.Get(directory)->entries) {
    const bool is_directory = kernel.disk.Get(id)->is_directory;
    const std::string path = prefix + name + (is_directory ? "/" : "");
    paths->push_back(path);
    if (is_directory) AddFiles(kernel, id, path, paths);
  }
}

}  // namespace

void CrashFileSystem::SyncAll() {
  const Guard guard(kernel_->mutex);
  kernel_->disk.SyncAll();
  kernel_->disk.CollectGarbage(kernel_->OpenInodes());
}

std::vector<std::string> CrashFileSystem::AllFiles() const {
  const Guard guard(kernel_->mutex);
  std::vector<std::string> paths;
  AddFiles(*kernel_, kRootInode, "/", &paths);
  std::sort(paths.begin(), paths.end());
  return paths;
}

int CrashFileSystem::GetFile(const std::string& path, std::string* contents) const {
  const Guard guard(kernel_->mutex);
  Place place;
  if (const int error = kernel_->ResolveFile(path, &place); error != 0) return error;
  *contents = Contents(*kernel_, place.inode);
  return 0;
}

int CrashFileSystem::PutFile(const std::string& path, const std::string& contents) {
  const Guard guard(kernel_->mutex);
  return Put(kernel_.get(), path, contents);
}

int CrashFileSystem::PutBytes(const std::string& path, uint64_t offset, const std::string& bytes) {
  const Guard guard(kernel_->mutex);
  Place place;
  if (const int error = kernel_->ResolveFile(path, &place); error != 0) return error;
  kernel_->disk.PutBytes(place.inode, offset, bytes);
  return 0;
}

int CrashFileSystem::FlipBit(const std::string& path, uint64_t bit) {
  const Guard guard(kernel_->mutex);
  Place place;
  if (const int error = kernel_->ResolveFile(path, &place); error != 0) return error;
  char byte = 0;
  if (kernel_->disk.Read(place.inode, &byte, 1, bit / 8) != 1) return EINVAL;
  byte = static_cast<char>(static_cast<unsigned char>(byte) ^ (1u << (bit % 8)));
  kernel_->disk.PutBytes(place.inode, bit / 8, std::string(1, byte));
  return 0;
}

int CrashFileSystem::ZeroBytes(const std::string& path, uint64_t offset, uint64_t bytes) {
  return PutBytes(path, offset, std::string(bytes, '\0'));
}

int CrashFileSystem::SetLength(const std::string& path, uint64_t bytes) {
  const Guard guard(kernel_->mutex);
  Place place;
  if (const int error = kernel_->ResolveFile(path, &place); error != 0) return error;
  kernel_->disk.Resize(place.inode, bytes, 0);
  kernel_->disk.SyncFile(place.inode);
  return 0;
}

int CrashFileSystem::CopyFile(const std::string& from, const std::string& to) {
  const Guard guard(kernel_->mutex);
  Place place;
  if (const int error = kernel_->ResolveFile(from, &place); error != 0) return error;
  return Put(kernel_.get(), to, Contents(*kernel_, place.inode));
}

int CrashFileSystem::SwapFiles(const std::string& a, const std::string& b) {
  const Guard guard(kernel_->mutex);
  Place place_a;
  Place place_b;
  if (const int error = kernel_->ResolveFile(a, &place_a); error != 0) return error;
  if (const int error = kernel_->ResolveFile(b, &place_b); error != 0) return error;
  const std::string old_a = Contents(*kernel_, place_a.inode);
  if (const int error = Put(kernel_.get(), a, Contents(*kernel_, place_b.inode)); error != 0) {
    return error;
  }
  return Put(kernel_.get(), b, old_a);
}

int CrashFileSystem::DeleteFile(const std::string& path) {
  const Guard guard(kernel_->mutex);
  Place place;
  if (const int error = kernel_->ResolveFile(path, &place); error != 0) return error;
  kernel_->disk.Remove(place.directory, place.name, 0);
  kernel_->disk.SyncDirectory(place.directory);
  kernel_->FreeSpaceIfUnused(place.inode);
  return 0;
}

}  // namespace seawall
