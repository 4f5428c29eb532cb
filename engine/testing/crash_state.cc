// SPDX-License-Identifier: Apache-2.0
// CrashState: which disks a power loss can leave.
#include <algorithm>
#include <set>
#include <sstream>
#include <utility>

#include "engine/testing/crash_disk.h"
#include "engine/testing/crash_kernel.h"
#include "seawall/testing/crash_file_system.h"

namespace seawall {
namespace crash_internal {
namespace {

bool SameBytes(const Sector& a, const Sector& b) {
  if (a == b) return true;
  if (a != nullptr && b != nullptr) return *a == *b;
  return (a != nullptr ? a : b)->find_first_not_of('\0') == std::string::npos;
}

// Returns the outcome with this sector, which it adds if there is none.
size_t AddSector(std::vector<Outcome>* outcomes, const Sector& sector, uint64_t call) {
  for (size_t i = 0; i < outcomes->size(); ++i) {
    if (SameBytes((*outcomes)[i].sector, sector)) return i;
  }
  Outcome outcome;
  outcome.call = call;
  outcome.sector = sector;
  outcomes->push_back(outcome);
  return outcomes->size() - 1;
}

Unit SectorUnit(const Inode& inode, InodeId id, uint64_t index, const CachedSector& cached,
                const CrashOptions& options) {
  Unit unit;
  unit.kind = Unit::Kind::kSector;
  unit.inode = id;
  unit.index = index;
  const Sector durable = inode.durable.Get(index);
  AddSector(&unit.outcomes, durable, 0);
  for (const SectorVersion& version : cached.versions) {
    unit.survivor = AddSector(&unit.outcomes, version.sector, version.call);
  }
  const uint64_t last_call = cached.versions.back().call;
  if (options.strict_sectors) AddSector(&unit.outcomes, nullptr, last_call);
  if (options.strict_sectors || (options.garbage && durable == nullptr)) {
    Outcome garbage;
    garbage.call = last_call;
    garbage.garbage = true;
    unit.outcomes.push_back(garbage);
  }
  return unit;
}

Unit SizeUnit(const Inode& inode, InodeId id) {
  Unit unit;
  unit.kind = Unit::Kind::kSize;
  unit.inode = id;
  const auto add = [&](uint64_t size, uint64_t call) {
    for (size_t i = 0; i < unit.outcomes.size(); ++i) {
      if (unit.outcomes[i].size == size) return i;
    }
    Outcome outcome;
    outcome.call = call;
    outcome.size = size;
    unit.outcomes.push_back(outcome);
    return unit.outcomes.size() - 1;
  };
  add(inode.durable_size, 0);
  for (const SizeVersion& v : inode.size_versions) unit.survivor = add(v.bytes, v.call);
  return unit;
}

// The names that a choice leaves.
struct Tree {
  std::map<InodeId, std::map<std::string, InodeId>> directories;  // those that have pending ops
  std::set<InodeId> reachable;
};

Tree MakeTree(const Frozen& frozen, const std::vector<uint16_t>& picks) {
  const Disk& disk = frozen.disk;
  Tree tree;
  for (size_t i = 0; i < disk.ops().size(); ++i) {
    for (const EntryChange& change : disk.ops()[i].changes) {
      const Inode* directory = disk.Get(change.directory);
      auto& entries =
          tree.directories.emplace(change.directory, directory->durable_entries).first->second;
      if (picks[i] == 0) continue;
      if (change.target == 0) {
        entries.erase(change.name);
      } else {
        entries[change.name] = change.target;
      }
    }
  }
  tree.reachable = {kRootInode};
  std::vector<InodeId> todo = {kRootInode};
  while (!todo.empty()) {
    const InodeId id = todo.back();
    todo.pop_back();
    const auto it = tree.directories.find(id);
    const auto& entries = it != tree.directories.end() ? it->second : disk.Get(id)->durable_entries;
    for (const auto& [name, target] : entries) {
      if (tree.reachable.insert(target).second) todo.push_back(target);
    }
  }
  return tree;
}

// A rename is atomic: when a later operation on its old name survived, the file that had that
// name must have its new one.
void KeepRenamesAtomic(const std::vector<EntryOp>& ops, std::vector<uint16_t>* picks) {
  for (size_t later = ops.size(); later-- > 0;) {
    if ((*picks)[later] == 0) continue;
    for (size_t i = 0; i < later; ++i) {
      if (!ops[i].rename) continue;
      const EntryChange& old_name = ops[i].changes[0];
      for (const EntryChange& change : ops[later].changes) {
        if (change.directory == old_name.directory && change.name == old_name.name) {
          (*picks)[i] = 1;
        }
      }
    }
  }
}

CrashChoice Canonicalize(const Frozen& frozen, const CrashChoice& choice, Tree* tree) {
  const std::vector<Unit>& units = frozen.Units();
  const std::vector<EntryOp>& ops = frozen.disk.ops();
  CrashChoice result = choice;
  std::vector<uint16_t>& picks = result.picks;
  picks.resize(units.size());
  for (size_t i = 0; i < units.size(); ++i) {
    picks[i] = static_cast<uint16_t>(std::min<size_t>(picks[i], units[i].outcomes.size() - 1));
  }
  KeepRenamesAtomic(ops, &picks);
  *tree = MakeTree(frozen, picks);
  for (size_t i = 0; i < ops.size(); ++i) {
    const bool matters =
        std::any_of(ops[i].changes.begin(), ops[i].changes.end(),
                    [&](const EntryChange& c) { return tree->reachable.count(c.directory) > 0; });
    if (!matters) picks[i] = 0;
  }
  bool garbage = false;
  uint64_t size = 0;
  for (size_t i = ops.size(); i < units.size(); ++i) {
    const Unit& unit = units[i];
    const bool first = i == ops.size() || units[i - 1].inode != unit.inode;
    if (first) size = frozen.disk.Get(unit.inode)->durable_size;
    const bool gone = tree->reachable.count(unit.inode) == 0;
    if (unit.kind == Unit::Kind::kSize) {
      if (gone) picks[i] = 0;
      size = unit.outcomes[picks[i]].size;
      continue;
    }
    if (gone || unit.index * frozen.disk.sector_bytes() >= size) picks[i] = 0;
    garbage = garbage || unit.outcomes[picks[i]].garbage;
  }
  if (!garbage) result.garbage_seed = 0;
  return result;
}

// What a newly allocated sector may show: what a file had there before, or noise. Old sectors are
// the harder test, since their checksums are right.
Sector Garbage(const Frozen& frozen, uint64_t seed, const Unit& unit) {
  Random random(Mix(seed) ^ Mix(unit.inode) ^ unit.index);
  const size_t bytes = frozen.disk.sector_bytes();
  if (random.Below(2) == 0) {
    std::vector<const Inode*> files;
    for (const auto& [id, inode] : frozen.disk.inodes()) {
      if (!inode->is_directory && inode->size > 0) files.push_back(inode.get());
    }
    if (!files.empty()) {
      const Inode* file = files[random.Below(files.size())];
      const bool same_place = random.Below(2) == 0;
      const uint64_t index =
          same_place ? unit.index : random.Below((file->size + bytes - 1) / bytes);
      const bool itself = file == frozen.disk.Get(unit.inode) && index == unit.index;
      const Sector sector = itself ? nullptr : file->Current(index);
      if (sector != nullptr) return sector;
    }
  }
  std::string noise(bytes, '\0');
  for (size_t i = 0; i < bytes; i += 8) {
    const uint64_t word = random.Next();
    for (size_t j = 0; j < 8; ++j) noise[i + j] = static_cast<char>(word >> (8 * j));
  }
  return std::make_shared<const std::string>(std::move(noise));
}

std::shared_ptr<Kernel> MakeImage(const Frozen& frozen, const CrashChoice& choice,
                                  const Tree& tree) {
  const std::vector<Unit>& units = frozen.Units();
  auto kernel = std::make_shared<Kernel>(frozen.options, frozen.disk, frozen.max_sectors, 0);
  Disk& disk = kernel->disk;
  disk.Settle(tree.directories, tree.reachable);
  size_t next = frozen.disk.ops().size();
  std::vector<std::pair<uint64_t, Sector>> sectors;
  // Units come in the order of inodes, the size first, then the sectors in order.
  for (const auto& [id, inode] : frozen.disk.inodes()) {
    if (inode->cached.empty() && inode->size_versions.empty()) continue;
    while (next < units.size() && units[next].inode < id) ++next;
    if (tree.reachable.count(id) == 0) continue;
    uint64_t size = inode->durable_size;
    if (next < units.size() && units[next].inode == id && units[next].kind == Unit::Kind::kSize) {
      size = units[next].outcomes[choice.picks[next]].size;
      ++next;
    }
    sectors.clear();
    for (const auto& [index, cached] : inode->cached) {
      Sector sector = inode->durable.Get(index);
      if (next < units.size() && units[next].inode == id && units[next].index == index) {
        const Outcome& outcome = units[next].outcomes[choice.picks[next]];
        sector =
            outcome.garbage ? Garbage(frozen, choice.garbage_seed, units[next]) : outcome.sector;
        ++next;
      }
      sectors.emplace_back(index, std::move(sector));
    }
    disk.SettleFile(id, sectors, size);
  }
  return kernel;
}

// Every name that an inode has or had, one of them: for messages.
std::map<InodeId, std::string> Names(const Disk& disk) {
  std::map<InodeId, std::string> names = {{kRootInode, ""}};
  for (bool again = true; again;) {
    again = false;
    const auto add = [&](InodeId directory, const std::string& name, InodeId target) {
      const auto parent = names.find(directory);
      if (target == 0 || parent == names.end()) return;
      again = names.emplace(target, parent->second + "/" + name).second || again;
    };
    for (const auto& [id, inode] : disk.inodes()) {
      for (const auto& [name, target] : inode->entries) add(id, name, target);
      for (const auto& [name, target] : inode->durable_entries) add(id, name, target);
    }
    for (const EntryOp& op : disk.ops()) {
      for (const EntryChange& change : op.changes) {
        add(change.directory, change.name, change.target);
      }
    }
  }
  return names;
}

}  // namespace

const std::vector<Unit>& Frozen::Units() const {
  std::call_once(once_, [this] {
    for (size_t i = 0; i < disk.ops().size(); ++i) {
      Unit unit;
      unit.kind = Unit::Kind::kEntry;
      unit.index = i;
      unit.outcomes.resize(2);
      unit.outcomes[1].call = disk.ops()[i].call;
      unit.survivor = 1;
      units_.push_back(std::move(unit));
    }
    const std::set<InodeId> referenced = disk.Referenced();
    for (const auto& [id, inode] : disk.inodes()) {
      if (inode->is_directory || referenced.count(id) == 0) continue;
      Unit size = SizeUnit(*inode, id);
      if (size.outcomes.size() > 1) units_.push_back(std::move(size));
      for (const auto& [index, cached] : inode->cached) {
        Unit sector = SectorUnit(*inode, id, index, cached, options);
        if (sector.outcomes.size() > 1) units_.push_back(std::move(sector));
      }
    }
  });
  return units_;
}

}  // namespace crash_internal

using crash_internal::Canonicalize;
using crash_internal::Disk;
using crash_internal::EntryChange;
using crash_internal::EntryOp;
using crash_internal::InodeId;
using crash_internal::Kernel;
using crash_internal::Mix;
using crash_internal::Outcome;
using crash_internal::Random;
using crash_internal::Tree;
using crash_internal::Unit;

std::string CrashChoice::ToString() const {
  // Runs are common, and lines are to be pasted: "0*12.1.3/42".
  std::ostringstream out;
  for (size_t i = 0; i < picks.size();) {
    size_t end = i;
    while (end < picks.size() && picks[end] == picks[i]) ++end;
    if (i > 0) out << ".";
    out << picks[i];
    if (end - i > 1) out << "*" << end - i;
    i = end;
  }
  out << "/" << garbage_seed;
  return out.str();
}

bool CrashChoice::FromString(const std::string& text, CrashChoice* choice) {
  *choice = CrashChoice();
  size_t at = 0;
  const auto number = [&](uint64_t* value) {
    const size_t begin = at;
    *value = 0;
    for (; at < text.size() && text[at] >= '0' && text[at] <= '9'; ++at) {
      *value = *value * 10 + static_cast<uint64_t>(text[at] - '0');
    }
    return at > begin;
  };
  const auto take = [&](char c) {
    if (at >= text.size() || text[at] != c) return false;
    ++at;
    return true;
  };
  constexpr uint64_t kMaxUnits = uint64_t{1} << 28;
  if (!take('/')) {
    do {
      uint64_t pick = 0;
      uint64_t count = 1;
      if (!number(&pick) || pick > UINT16_MAX) return false;
      if (take('*') && !number(&count)) return false;
      if (count > kMaxUnits) return false;
      choice->picks.insert(choice->picks.end(), count, static_cast<uint16_t>(pick));
    } while (take('.'));
    if (!take('/')) return false;
  }
  return number(&choice->garbage_seed) && at == text.size();
}

CrashState::CrashState(std::shared_ptr<const crash_internal::Frozen> frozen)
    : frozen_(std::move(frozen)) {}

size_t CrashState::pending_units() const { return frozen_->Units().size(); }

size_t CrashState::outcomes(size_t unit) const { return frozen_->Units()[unit].outcomes.size(); }

uint64_t CrashState::combinations() const {
  uint64_t product = 1;
  for (const Unit& unit : frozen_->Units()) {
    if (product > UINT64_MAX / unit.outcomes.size()) return UINT64_MAX;
    product *= unit.outcomes.size();
  }
  return product;
}

CrashChoice CrashState::ChoiceAt(uint64_t index) const {
  CrashChoice choice;
  for (const Unit& unit : frozen_->Units()) {
    choice.picks.push_back(static_cast<uint16_t>(index % unit.outcomes.size()));
    index /= unit.outcomes.size();
  }
  return choice;
}

CrashChoice CrashState::Sample(uint64_t seed) const {
  const std::vector<Unit>& units = frozen_->Units();
  Random random(seed);
  CrashChoice choice;
  choice.garbage_seed = random.Next();
  choice.picks.resize(units.size());
  if (units.empty()) return choice;

  // Lost, in one of the ways in which a unit can be.
  const bool garbage_allowed = random.Below(2) == 0;
  const auto lost = [&](const Unit& unit) -> size_t {
    const size_t last = unit.outcomes.size() - 1;
    if (!garbage_allowed || !unit.outcomes[last].garbage || random.Below(2) == 0) return 0;
    return last;
  };
  const auto any = [&](const Unit& unit) { return random.Below(unit.outcomes.size()); };
  const uint64_t strategy = random.Below(7);
  const size_t chosen = random.Below(units.size());
  const uint64_t moment = units[chosen].outcomes.back().call;
  const uint64_t odds = random.Below(15) + 1;  // sixteenths that survive
  for (size_t i = 0; i < units.size(); ++i) {
    const Unit& unit = units[i];
    size_t pick = 0;
    switch (strategy) {
      case 0:  // all but one
        pick = i == chosen ? lost(unit) : unit.survivor;
        break;
      case 1:  // one only
        pick = i == chosen ? unit.survivor : lost(unit);
        break;
      case 2:    // in order, up to a moment, as most disks do; torn there
      case 3: {  // in order, but what is older than a moment is lost
        size_t newest = 0;
        for (size_t o = 1; o < unit.outcomes.size(); ++o) {
          const Outcome& outcome = unit.outcomes[o];
          const bool before =
              outcome.call < moment || (outcome.call == moment && random.Below(2) == 0);
          if (!outcome.garbage && before) newest = o;
        }
        if (strategy == 2) {
          pick = newest == 0 ? lost(unit) : newest;
        } else {
          pick = newest == unit.survivor ? lost(unit) : unit.survivor;
        }
        break;
      }
      case 4:
        pick = random.Below(16) < odds ? unit.survivor : lost(unit);
        break;
      case 5:
        pick = random.Below(16) < odds ? any(unit) : lost(unit);
        break;
      default:
        pick = any(unit);
        break;
    }
    choice.picks[i] = static_cast<uint16_t>(pick);
  }
  return choice;
}

CrashChoice CrashState::Canonical(const CrashChoice& choice) const {
  Tree tree;
  return Canonicalize(*frozen_, choice, &tree);
}

std::string CrashState::Describe(const CrashChoice& choice) const {
  const Disk& disk = frozen_->disk;
  const std::vector<Unit>& units = frozen_->Units();
  std::map<InodeId, std::string> names = crash_internal::Names(disk);
  const CrashChoice canonical = Canonical(choice);
  std::ostringstream out;
  for (size_t i = 0; i < units.size(); ++i) {
    const Unit& unit = units[i];
    const Outcome& outcome = unit.outcomes[canonical.picks[i]];
    if (unit.kind == Unit::Kind::kEntry) {
      for (const EntryChange& change : disk.ops()[i].changes) {
        out << (change.target == 0 ? "-" : "+") << names[change.directory] << "/" << change.name
            << " ";
      }
      out << (canonical.picks[i] == 0 ? "lost" : "survived");
    } else if (unit.kind == Unit::Kind::kSize) {
      out << names[unit.inode] << " size " << outcome.size;
    } else {
      out << names[unit.inode] << " [" << unit.index * disk.sector_bytes() << ", +"
          << disk.sector_bytes() << ") ";
      if (outcome.garbage) {
        out << "garbage";
      } else if (canonical.picks[i] == 0) {
        out << "lost";
      } else if (canonical.picks[i] == unit.survivor) {
        out << "survived";
      } else {
        out << "older version " << canonical.picks[i];
      }
    }
    out << "\n";
  }
  return out.str();
}

std::unique_ptr<CrashFileSystem> CrashState::PowerLoss(const CrashChoice& choice) const {
  Tree tree;
  const CrashChoice canonical = Canonicalize(*frozen_, choice, &tree);
  return std::unique_ptr<CrashFileSystem>(
      new CrashFileSystem(MakeImage(*frozen_, canonical, tree)));
}

std::unique_ptr<CrashFileSystem> CrashState::Kill() const {
  auto kernel =
      std::make_shared<Kernel>(frozen_->options, frozen_->disk, frozen_->max_sectors, frozen_->now);
  std::vector<InodeId> unnamed;
  for (const auto& [id, inode] : kernel->disk.inodes()) {
    if (inode->links == 0) unnamed.push_back(id);
  }
  for (InodeId id : unnamed) kernel->disk.FreeSpaceIfUnused(id, false);
  if (!unnamed.empty()) kernel->disk.CollectGarbage({});
  return std::unique_ptr<CrashFileSystem>(new CrashFileSystem(std::move(kernel)));
}

size_t CrashState::ForEachImage(
    size_t max_images, uint64_t seed,
    const std::function<bool(const CrashChoice&, std::unique_ptr<CrashFileSystem>)>& visit) const {
  size_t visited = 0;
  std::set<std::vector<uint16_t>> seen;
  // False: stop.
  const auto offer = [&](const CrashChoice& choice, bool canonical_only) {
    Tree tree;
    const CrashChoice canonical = Canonicalize(*frozen_, choice, &tree);
    if (canonical_only ? canonical.picks != choice.picks : !seen.insert(canonical.picks).second) {
      return true;
    }
    ++visited;
    return visit(canonical, std::unique_ptr<CrashFileSystem>(
                                new CrashFileSystem(MakeImage(*frozen_, canonical, tree))));
  };

  const uint64_t all = combinations();
  if (all <= max_images) {
    for (uint64_t i = 0; i < all; ++i) {
      CrashChoice choice = ChoiceAt(i);
      choice.garbage_seed = Mix(seed + i);
      if (!offer(choice, /*canonical_only=*/true)) break;
    }
    return visited;
  }
  CrashChoice lost;
  CrashChoice survived;
  for (const Unit& unit : frozen_->Units()) {
    lost.picks.push_back(0);
    survived.picks.push_back(static_cast<uint16_t>(unit.survivor));
  }
  if (max_images > 0 && !offer(lost, false)) return visited;
  if (max_images > 1 && !offer(survived, false)) return visited;
  // Samples repeat where few units matter: then there are fewer images than asked for.
  uint64_t repeats = 0;
  for (uint64_t i = 0; visited < max_images && repeats < 100 + visited; ++i) {
    const size_t before = visited;
    if (!offer(Sample(Mix(seed) + i), false)) break;
    repeats = visited == before ? repeats + 1 : 0;
  }
  return visited;
}

}  // namespace seawall
