// SPDX-License-Identifier: Apache-2.0
#include "engine/commit/cursor_set.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"

namespace seawall {

void CursorSet::Start(CursorTable table) {
  enabled_ = true;
  entries_.clear();
  for (const CursorPosition& cursor : table.cursors) entries_.push_back({cursor, 0, 0, cursor.lsn});
  sequence_ = table.sequence + kCursorSlots - 1;
  taken_ = durable_ = std::move(table);
}

std::vector<CursorSet::Entry>::iterator CursorSet::Find(std::string_view name) {
  return std::lower_bound(entries_.begin(), entries_.end(), name,
                          [](const Entry& e, std::string_view n) { return e.at.name < n; });
}

absl::Status CursorSet::NoSuchCursor(std::string_view name) const {
  return absl::NotFoundError(absl::StrCat("the log has no cursor \"", std::string(name), "\""));
}

absl::StatusOr<uint64_t> CursorSet::Open(std::string_view name, const std::function<Lsn()>& begin) {
  auto entry = Find(name);
  if (entry != entries_.end() && entry->at.name == name) return entry->created;
  if (entries_.size() >= kMaxCursors) {
    return absl::ResourceExhaustedError(absl::StrCat("open cursor \"", std::string(name),
                                                     "\": the log has ", kMaxCursors,
                                                     " cursors, which is the most"));
  }
  const Lsn position = begin();
  entries_.insert(entry, {{std::string(name), position}, changes_ + 1, changes_ + 1, position});
  ++changes_;
  return changes_;
}

absl::StatusOr<uint64_t> CursorSet::Advance(std::string_view name, Lsn lsn) {
  auto entry = Find(name);
  if (entry == entries_.end() || entry->at.name != name) return NoSuchCursor(name);
  if (lsn > entry->at.lsn) {
    entry->at.lsn = lsn;
    entry->change = ++changes_;
  }
  return entry->change;
}

absl::StatusOr<uint64_t> CursorSet::Drop(std::string_view name) {
  auto entry = Find(name);
  if (entry == entries_.end() || entry->at.name != name) return NoSuchCursor(name);
  entries_.erase(entry);
  return ++changes_;
}

CursorTable CursorSet::Now(uint64_t slots) {
  CursorTable table;
  table.sequence = sequence_ + 1;
  sequence_ += slots;
  for (const Entry& entry : entries_) table.cursors.push_back(entry.at);
  return table;
}

CursorTable CursorSet::Take(uint64_t slots) {
  taken_changes_ = changes_;
  CursorTable table = Now(slots);
  in_one_slot_ = slots < kCursorSlots && table.cursors != taken_.cursors;
  return taken_ = std::move(table);
}

void CursorSet::Synced() {
  durable_changes_ = taken_changes_;
  // A table that says the same as the one before makes the two slots copies of each other: either
  // will do.
  if (taken_.cursors != durable_.cursors) durable_ = taken_;
}

CursorTable CursorSet::TakeCut(Lsn lsn, bool reset) {
  cut_changes_ = changes_;
  CursorTable table = Now(kCursorSlots);
  for (CursorPosition& cursor : table.cursors) {
    cursor.lsn = reset ? lsn : std::min(cursor.lsn, lsn);
  }
  return table;
}

void CursorSet::Cut(Lsn lsn, bool reset, CursorTable table) {
  taken_changes_ = durable_changes_ = cut_changes_;
  taken_ = durable_ = std::move(table);
  in_one_slot_ = false;
  // Those, too, that were advanced meanwhile.
  for (Entry& entry : entries_) {
    entry.at.lsn = reset ? lsn : std::min(entry.at.lsn, lsn);
    entry.opened = reset ? lsn : std::min(entry.opened, lsn);
  }
}

Lsn CursorSet::position(std::string_view name) const {
  for (const Entry& entry : entries_) {
    if (entry.at.name == name) return entry.at.lsn;
  }
  return 0;
}

std::vector<CursorInfo> CursorSet::list() const {
  std::vector<CursorInfo> list;
  for (const Entry& entry : entries_) {
    CursorInfo info{entry.at.name, entry.at.lsn, 0};
    for (const CursorPosition& cursor : durable_.cursors) {
      if (cursor.name == info.name) info.durable_position = std::min(cursor.lsn, info.position);
    }
    list.push_back(std::move(info));
  }
  return list;
}

std::vector<CursorPosition> CursorSet::holds() const {
  std::vector<CursorPosition> holds;
  auto durable = durable_.cursors.begin();
  for (const Entry& entry : entries_) {
    // Those that were dropped, which is not durable.
    for (; durable != durable_.cursors.end() && durable->name < entry.at.name; ++durable) {
      holds.push_back({durable->name, durable->lsn + 1});
    }
    Lsn lowest = entry.opened;
    if (durable != durable_.cursors.end() && durable->name == entry.at.name) {
      lowest = std::min(durable->lsn, entry.at.lsn);
      ++durable;
    }
    holds.push_back({entry.at.name, lowest + 1});
  }
  for (; durable != durable_.cursors.end(); ++durable) {
    holds.push_back({durable->name, durable->lsn + 1});
  }
  return holds;
}

}  // namespace seawall
