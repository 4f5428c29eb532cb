// SPDX-License-Identifier: Apache-2.0
#include "engine/testing/crash_kernel.h"

#include <utility>

namespace seawall::crash_internal {
namespace {

constexpr size_t kMaxNameBytes = 255;

}  // namespace

int Kernel::Run(FileSystemCall* call, const std::function<int(size_t)>& effect,
                const std::function<void()>& settle, const std::function<void(int)>& fail) {
  const std::lock_guard<std::mutex> guard(mutex);
  if (frozen) return EIO;
  call->ordinal = ++calls;
  const CaptureFn capture = [this] { return Capture(); };
  const bool is_io = call->kind == CallKind::kRead || call->kind == CallKind::kWrite;

  const bool crash = crash_point.call == call->ordinal;
  if (crash && crash_point.phase == CrashPhase::kBefore) {
    frozen = true;
    return EIO;
  }
  if (hook && call->may_change) hook(*call, CrashPhase::kBefore, capture);
  if (crash && crash_point.phase == CrashPhase::kInside) {
    effect(crash_point.inside_bytes);
    frozen = true;
    return EIO;
  }

  const Fault* fault = DueFault(*call);
  if (fault != nullptr && fault->error != 0) {
    if (fail) fail(fault->error);
    call->error = fault->error;
    call->transferred = 0;
  } else {
    call->error = effect(fault != nullptr && is_io ? fault->max_bytes : SIZE_MAX);
    if (call->error == 0 && settle) {
      if (hook && call->kind == CallKind::kWrite) hook(*call, CrashPhase::kInside, capture);
      settle();
    }
  }
  if (options.trace) trace.push_back(*call);
  if (crash) frozen = true;
  return call->error;
}

const Fault* Kernel::DueFault(const FileSystemCall& call) {
  const Fault* due = nullptr;
  for (ActiveFault& active : faults) {
    const Fault& fault = active.fault;
    if (fault.kind != CallKind::kAny && fault.kind != call.kind) continue;
    if (call.path.find(fault.path_contains) == std::string::npos) continue;
    // What has nothing to transfer cannot fall short.
    if (fault.error == 0 && call.bytes <= fault.max_bytes) continue;
    ++active.matched;
    const bool now = fault.forever ? active.matched >= fault.nth : active.matched == fault.nth;
    if (now && due == nullptr) due = &fault;
  }
  if (due != nullptr) ++faults_hit;
  return due;
}

CrashState Kernel::Capture() {
  // From here on the captured disk is shared, so neither side may change its parts in place.
  CrashState state(std::make_shared<const Frozen>(disk, options, max_sectors, Now()));
  disk.BeginEpoch();
  return state;
}

int Kernel::Resolve(const std::string& path, Place* place) const {
  if (path.empty()) return ENOENT;
  *place = Place();
  place->inode = kRootInode;
  place->must_be_directory = path.back() == '/';
  std::vector<Place> parents;  // for ".."
  size_t begin = 0;
  while (begin < path.size()) {
    size_t end = path.find('/', begin);
    if (end == std::string::npos) end = path.size();
    const std::string name = path.substr(begin, end - begin);
    begin = end + 1;
    if (name.empty()) continue;
    if (place->inode == 0) return ENOENT;
    const Inode* inode = disk.Get(place->inode);
    if (!inode->is_directory) return ENOTDIR;
    if (name == ".") continue;
    if (name == "..") {
      if (parents.empty()) continue;
      *place = parents.back();
      parents.pop_back();
      continue;
    }
    if (name.size() > kMaxNameBytes) return ENAMETOOLONG;
    parents.push_back(*place);
    place->directory = place->inode;
    place->name = name;
    const auto entry = inode->entries.find(name);
    place->inode = entry == inode->entries.end() ? 0 : entry->second;
  }
  if (place->must_be_directory && place->inode != 0 && !disk.Get(place->inode)->is_directory) {
    return ENOTDIR;
  }
  return 0;
}

int Kernel::ResolveFile(const std::string& path, Place* place) const {
  if (const int error = Resolve(path, place); error != 0) return error;
  if (place->inode == 0) return ENOENT;
  return disk.Get(place->inode)->is_directory ? EISDIR : 0;
}

std::set<InodeId> Kernel::OpenInodes() const {
  std::set<InodeId> open;
  for (const auto& [inode, count] : open_files) open.insert(inode);
  return open;
}

void Kernel::FreeSpaceIfUnused(InodeId id) {
  disk.FreeSpaceIfUnused(id, open_files.count(id) > 0);
  if (const Inode* inode = disk.Get(id); inode != nullptr && inode->links == 0) {
    disk.CollectGarbage(OpenInodes());
  }
}

}  // namespace seawall::crash_internal
