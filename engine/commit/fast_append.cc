// SPDX-License-Identifier: Apache-2.0
#include "engine/commit/fast_append.h"

#include <chrono>

#include "engine/format/format.h"
#include "engine/metrics/commit_meter.h"

namespace seawall {

Lsn FastAppend::Try(std::string_view record) {
  return AppendSampler::Tick() ? TryTimed(record) : TryUntimed(record);
}

ABSL_ATTRIBUTE_ALWAYS_INLINE inline Lsn FastAppend::TryUntimed(std::string_view record) {
  GroupBuffer* buffer = open_.load(std::memory_order_acquire);
  GroupBuffer::Place place;
  if (buffer == nullptr) return 0;
  if (!buffer->TryReserveUnmarked(EncodedRecordBytes(record.size()), &place)) {
    return TryMarked(buffer, record);
  }
  EncodeRecord(record, place.first_lsn, 0, place.salt, place.to);
  buffer->Done(1);
  return place.first_lsn;
}

Lsn FastAppend::TryMarked(GroupBuffer* buffer, std::string_view record) {
  GroupBuffer::Place place;
  if (!buffer->TryReserve(EncodedRecordBytes(record.size()), 1, &place)) return 0;
  buffer->Mark(place.to, EncodedRecordBytes(record.size()), place.first_lsn);
  EncodeRecord(record, place.first_lsn, 0, place.salt, place.to);
  buffer->Done(1);
  return place.first_lsn;
}

Lsn FastAppend::TryTimed(std::string_view record) {
  if (!AppendSampler::Draw()) return TryUntimed(record);
  const MeterClock::time_point began = MeterClock::now();
  const Lsn lsn = TryUntimed(record);
  if (lsn == 0) {
    AppendSampler::PassOn();
  } else {
    reserve_.Add(NanosBetween(began, MeterClock::now()), AppendSampler::kMean);
  }
  return lsn;
}

}  // namespace seawall
