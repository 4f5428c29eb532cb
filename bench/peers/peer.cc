// SPDX-License-Identifier: Apache-2.0
#include "bench/peers/peer.h"

#include <algorithm>
#include <utility>

namespace seawall::bench {
namespace {

std::vector<PeerInfo>& Registry() {
  static std::vector<PeerInfo>* const peers = new std::vector<PeerInfo>;
  return *peers;
}

}  // namespace

absl::Status Peer::CommitAsync(std::string_view /*record*/, Completion* /*completion*/) {
  return absl::UnimplementedError("no asynchronous commit");
}

absl::StatusOr<uint64_t> Peer::Scan() {
  uint64_t records = 0;
  uint64_t bytes = 0;
  auto status = Read([&](std::string_view record) {
    ++records;
    bytes += record.size() + static_cast<unsigned char>(record.empty() ? 0 : record.front());
  });
  if (!status.ok()) return status;
  if (bytes < records) return absl::DataLossError("empty records");
  return records;
}

bool RegisterPeer(PeerInfo info) {
  Registry().push_back(std::move(info));
  return true;
}

std::vector<PeerInfo> AllPeers() {
  std::vector<PeerInfo> peers = Registry();
  std::stable_sort(peers.begin(), peers.end(), [](const PeerInfo& a, const PeerInfo& b) {
    return a.order != b.order ? a.order < b.order : a.name < b.name;
  });
  return peers;
}

}  // namespace seawall::bench
