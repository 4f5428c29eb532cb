// SPDX-License-Identifier: Apache-2.0
#include "tests/recovery/recovery_test_util.h"

#include "seawall/log.h"

namespace seawall {

RecoveryTest::RecoveryTest()
    : one_(Filled(HeaderOf(1), {2, 1}, 0)),
      two_(Filled(HeaderOf(2, &one_), {1, 2}, 3)),
      three_(Filled(HeaderOf(3, &two_), {1, 1, 2}, 6)) {
  control_.log_id = one_.header().log_id;
  control_.sequence = 5;
  control_.first_generation = 1;
  control_.tail_generation = 3;
  control_.durable_lsn = 7;
  control_.entries = {{3, three_.header().salt, kAllocated}};
}

SegmentImage RecoveryTest::Filled(const SegmentHeader& header, const std::vector<int>& groups,
                                  Lsn durable_lsn) {
  SegmentImage segment(header);
  for (int count : groups) {
    std::vector<std::string> records;
    for (int i = 0; i < count; ++i) {
      records.push_back(PayloadOf(segment.last_lsn() + 1 + static_cast<Lsn>(i)));
    }
    const Lsn before = segment.last_lsn();
    segment.Group(records, durable_lsn);
    durable_lsn = before + static_cast<Lsn>(count);
  }
  return segment;
}

void RecoveryTest::WriteControl() {
  std::string file(kControlSlots * kControlSlotBytes, '\0');
  for (uint64_t i = 0; i < kControlSlots; ++i) {
    EncodeControlBlock(control_, file.data() + i * kControlSlotBytes);
  }
  WriteFile(ControlPath(), file);
}

void RecoveryTest::MarkClosed() {
  control_.durable_lsn = three_.last_lsn();
  control_.closed = true;
  control_.closed_end = three_.end();
  control_.closed_digest = three_.digest();
}

void RecoveryTest::ExpectDamage(absl::StatusCode code, std::initializer_list<std::string> parts) {
  const DirectoryImage before(dir_.path());
  for (bool carry : {false, true}) EXPECT_TRUE(Fails(Plan(carry), code, parts));
  EXPECT_TRUE(Fails(PlanReadOnly(fs_, dir_.path()), code, parts));
  EXPECT_TRUE(before.Equals(DirectoryImage(dir_.path())));
  Options options;
  options.file_system = fs_;
  EXPECT_TRUE(Fails(Log::Open(dir_.path(), options), code, parts));
  EXPECT_TRUE(before.Equals(DirectoryImage(dir_.path())));
}

RecoveryReport RecoveryTest::ExpectOpens(Lsn first, Lsn last) {
  RecoveryReport report;
  for (bool again : {false, true}) {
    absl::StatusOr<std::unique_ptr<Log>> log = Log::Open(dir_.path(), Options());
    EXPECT_OK(log);
    if (!log.ok()) return report;
    if (!again) report = (*log)->recovery_report();
    EXPECT_EQ((*log)->first_lsn(), first);
    EXPECT_EQ((*log)->durable_lsn(), last);
    absl::StatusOr<std::unique_ptr<Reader>> reader = (*log)->NewReader(first);
    EXPECT_OK(reader);
    if (!reader.ok()) return report;
    Record record;
    Lsn lsn = first;
    while ((*reader)->Next(&record)) {
      EXPECT_EQ(record.lsn, lsn);
      EXPECT_EQ(record.payload, PayloadOf(lsn));
      ++lsn;
    }
    EXPECT_OK((*reader)->status());
    EXPECT_EQ(lsn, last + 1);
    EXPECT_OK((*log)->Close());
    if (again) {
      EXPECT_EQ((*log)->recovery_report().verdict, RecoveryVerdict::kClean);
      EXPECT_EQ((*log)->recovery_report().first_lsn, first);
      EXPECT_EQ((*log)->recovery_report().last_lsn, last);
    }
  }
  return report;
}

}  // namespace seawall
