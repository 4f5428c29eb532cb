// SPDX-License-Identifier: Apache-2.0
#include "engine/io/anchored_file_system.h"

#include <unistd.h>

#include <cerrno>
#include <climits>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "engine/io/file_io.h"

namespace seawall {
namespace {

std::string WithoutSlashes(const std::string& path) {
  const size_t last = path.find_last_not_of('/');
  return last == std::string::npos ? std::string() : path.substr(0, last + 1);
}

std::string Absolute(const std::string& path) {
  char here[PATH_MAX];
  if (path.empty() || path.front() == '/' || getcwd(here, sizeof(here)) == nullptr) return path;
  return JoinPath(here, path);
}

std::string BaseName(const std::string& path) { return path.substr(path.find_last_of('/') + 1); }

}  // namespace

AnchoredFileSystem::AnchoredFileSystem(FileSystem* base, const std::string& directory)
    : base_(base),
      path_(WithoutSlashes(directory)),
      opened_path_(base == FileSystem::Posix() ? Absolute(directory) : directory) {
  do {
    error_ = base_->OpenDirectory(directory, &handle_);
  } while (error_ == EINTR);
  if (error_ == 0) error_ = handle_->Stat(".", &opened_);
  if (error_ != 0) handle_.reset();
}

std::optional<std::string> AnchoredFileSystem::NameOf(const std::string& path) const {
  if (handle_ == nullptr || path.compare(0, path_.size(), path_) != 0) return std::nullopt;
  const size_t name = path.find_first_not_of('/', path_.size());
  if (name == std::string::npos) return ".";
  if (name == path_.size() || path.find('/', name) != std::string::npos) return std::nullopt;
  if (path.compare(name, std::string::npos, "..") == 0) return std::nullopt;
  return path.substr(name);
}

AnchoredFileSystem::Place AnchoredFileSystem::FindPlace() const {
  if (handle_ == nullptr) return Place::kHere;
  FileInfo there;
  if (base_->Stat(opened_path_, &there) != 0) return Place::kElsewhere;
  const bool same = there.device == opened_.device && there.inode == opened_.inode;
  return same ? Place::kHere : Place::kReplaced;
}

bool AnchoredFileSystem::IsReplaced() const { return FindPlace() == Place::kReplaced; }

absl::StatusOr<std::string> AnchoredFileSystem::CurrentPathOf(const std::string& path) const {
  const std::optional<std::string> name = NameOf(path);
  if (!name.has_value()) return path;
  if (FindPlace() == Place::kHere) return JoinPath(opened_path_, *name);
  const std::string now = handle_->CurrentPath();
  if (now.empty()) {
    return absl::NotFoundError(
        absl::StrCat(path, ": no path leads to its directory any more, which was there before"));
  }
  return JoinPath(now, *name);
}

std::string AnchoredFileSystem::PlaceNote() const {
  if (FindPlace() == Place::kHere) return "";
  const std::string now = handle_->CurrentPath();
  return now.empty() ? "; its directory was removed, or is out of reach, since the log was opened"
                     : absl::StrCat("; its directory was moved since the log was opened, and is ",
                                    now, " now");
}

int AnchoredFileSystem::Open(const std::string& path, const OpenOptions& options,
                             std::unique_ptr<File>* file) {
  const std::optional<std::string> name = NameOf(path);
  return name ? handle_->Open(*name, options, file) : base_->Open(path, options, file);
}

int AnchoredFileSystem::OpenDirectory(const std::string& path,
                                      std::unique_ptr<Directory>* directory) {
  return base_->OpenDirectory(path, directory);
}

int AnchoredFileSystem::Stat(const std::string& path, FileInfo* info) {
  const std::optional<std::string> name = NameOf(path);
  return name ? handle_->Stat(*name, info) : base_->Stat(path, info);
}

int AnchoredFileSystem::MakeDirectory(const std::string& path) {
  return base_->MakeDirectory(path);
}

int AnchoredFileSystem::List(const std::string& directory, std::vector<std::string>* names) {
  return NameOf(directory) == "." ? handle_->List(names) : base_->List(directory, names);
}

int AnchoredFileSystem::Rename(const std::string& from, const std::string& to) {
  const std::optional<std::string> from_name = NameOf(from), to_name = NameOf(to);
  if (from_name && to_name) return handle_->Rename(*from_name, *to_name);
  return from_name || to_name ? EXDEV : base_->Rename(from, to);
}

int AnchoredFileSystem::Unlink(const std::string& path) {
  const std::optional<std::string> name = NameOf(path);
  return name ? handle_->Unlink(*name) : base_->Unlink(path);
}

int AnchoredFileSystem::RemoveDirectory(const std::string& path) {
  return base_->RemoveDirectory(path);
}

int AnchoredFileSystem::Link(const std::string& from, const std::string& to) {
  const std::optional<std::string> name = NameOf(from);
  if (!name) return base_->Link(from, to);
  std::unique_ptr<Directory> directory;
  const int error = base_->OpenDirectory(ParentDirectory(to), &directory);
  return error != 0 ? error : directory->LinkFrom(handle_.get(), *name, BaseName(to));
}

int AnchoredFileSystem::CloneFile(const std::string& from, const std::string& to) {
  const std::optional<std::string> name = NameOf(from);
  if (!name) return base_->CloneFile(from, to);
  std::unique_ptr<Directory> directory;
  const int error = base_->OpenDirectory(ParentDirectory(to), &directory);
  return error != 0 ? error : directory->CloneFrom(handle_.get(), *name, BaseName(to));
}

int AnchoredFileSystem::SyncDirectory(const std::string& directory) {
  return NameOf(directory) == "." ? handle_->Sync() : base_->SyncDirectory(directory);
}

bool AnchoredFileSystem::CanBeFollowed() {
  return handle_ != nullptr ? handle_->CanBeFollowed() : base_->CanBeFollowed();
}

int AnchoredFileSystem::Watch(const std::string& directory, const std::string& name,
                              std::unique_ptr<FileWatch>* watch) {
  return NameOf(directory) == "." ? handle_->Watch(name, watch)
                                  : base_->Watch(directory, name, watch);
}

}  // namespace seawall
