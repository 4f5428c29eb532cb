// SPDX-License-Identifier: Apache-2.0
// seawall/c.h, used from C (tests/c/c_api_user.c, compiled as C99), and what only C++ can try.
#include <cstdlib>
#include <filesystem>
#include <new>
#include <string>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "seawall/c.h"
#include "tests/c/c_api_user.h"
#include "tests/support/test_util.h"

namespace {

// How many more allocations of this thread succeed; below 0: all.
thread_local int allocations_left = -1;

void* Allocate(std::size_t bytes) noexcept {
  if (allocations_left == 0) return nullptr;
  if (allocations_left > 0) --allocations_left;
  return std::malloc(bytes == 0 ? 1 : bytes);
}

}  // namespace

void* operator new(std::size_t bytes) {
  void* const memory = Allocate(bytes);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}
void* operator new[](std::size_t bytes) { return operator new(bytes); }
void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept { return Allocate(bytes); }
void* operator new[](std::size_t bytes, const std::nothrow_t&) noexcept { return Allocate(bytes); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }

namespace {

class CApiTest : public ::testing::TestWithParam<CApiCase> {};

std::vector<CApiCase> AllCases() {
  std::vector<CApiCase> cases;
  for (const CApiCase* next = kCApiCases; next->name != nullptr; ++next) cases.push_back(*next);
  return cases;
}

TEST_P(CApiTest, FromC) {
  const seawall::TempDir parent;
  const char* const failure = GetParam().run((parent / "log").c_str());
  EXPECT_EQ(failure, nullptr) << failure;
}

INSTANTIATE_TEST_SUITE_P(All, CApiTest, ::testing::ValuesIn(AllCases()),
                         [](const auto& test) { return std::string(test.param.name); });

// Runs `call` with one, two, ... allocations of this thread, and none after them, until it
// succeeds; each time before that it must say that memory is missing. Returns how often that was.
template <typename Call>
int FailEachAllocation(const Call& call) {
  for (int allowed = 0; allowed < 10000; ++allowed) {
    seawall_error* error = nullptr;
    allocations_left = allowed;
    const seawall_code code = call(&error);
    allocations_left = -1;
    if (code == SEAWALL_OK) {
      EXPECT_EQ(error, nullptr);
      return allowed;
    }
    EXPECT_EQ(code, SEAWALL_RESOURCE_EXHAUSTED) << seawall_error_message(error);
    EXPECT_EQ(seawall_error_code(error), code);
    EXPECT_NE(std::string(seawall_error_message(error)).find("memory"), std::string::npos)
        << seawall_error_message(error);
    seawall_error_free(error);
  }
  ADD_FAILURE() << "never succeeded";
  return -1;
}

TEST(CApiMemoryTest, OutOfMemoryIsACode) {
  const seawall::TempDir parent;
  const std::string directory = parent / "log";
  seawall_log* log = nullptr;
  ASSERT_EQ(seawall_log_open(directory.c_str(), nullptr, &log, nullptr), SEAWALL_OK);
  ASSERT_EQ(seawall_log_append(log, "one", 3, SEAWALL_DURABLE, nullptr, nullptr), SEAWALL_OK);

  const std::vector<seawall_slice> batch(100, seawall_slice{"x", 1});
  EXPECT_GT(FailEachAllocation([&](seawall_error** error) {
              return seawall_log_append_batch(log, batch.data(), batch.size(), SEAWALL_APPENDED,
                                              nullptr, nullptr, error);
            }),
            0);
  EXPECT_EQ(seawall_log_appended_lsn(log), 101U);

  void* payload = nullptr;
  size_t bytes = 0;
  EXPECT_GT(FailEachAllocation([&](seawall_error** error) {
              return seawall_log_read(log, 1, &payload, &bytes, error);
            }),
            0);
  EXPECT_EQ(std::string(static_cast<char*>(payload), bytes), "one");
  seawall_free(payload);

  seawall_reader* reader = nullptr;
  EXPECT_GT(FailEachAllocation([&](seawall_error** error) {
              return seawall_log_new_reader(log, 1, SEAWALL_READ_DURABLE, &reader, error);
            }),
            0);
  EXPECT_GT(FailEachAllocation(
                [&](seawall_error** error) { return seawall_reader_seek(reader, 1, error); }),
            0);
  seawall_reader_free(reader);
  seawall_log_free(log);
}

TEST(CApiMemoryTest, AReaderWithoutMemoryEndsAndSeeksOn) {
  const seawall::TempDir parent;
  seawall_log* log = nullptr;
  ASSERT_EQ(seawall_log_open((parent / "log").c_str(), nullptr, &log, nullptr), SEAWALL_OK);
  ASSERT_EQ(seawall_log_append(log, "one", 3, SEAWALL_DURABLE, nullptr, nullptr), SEAWALL_OK);
  seawall_reader* reader = nullptr;
  ASSERT_EQ(seawall_log_new_reader(log, 1, SEAWALL_READ_DURABLE, &reader, nullptr), SEAWALL_OK);
  seawall_record record = {};
  record.struct_bytes = sizeof(record);
  allocations_left = 0;
  const int32_t got = seawall_reader_next(reader, &record);
  allocations_left = -1;
  ASSERT_EQ(got, -1);
  seawall_error* error = nullptr;
  EXPECT_EQ(seawall_reader_status(reader, &error), SEAWALL_RESOURCE_EXHAUSTED);
  EXPECT_STREQ(seawall_error_message(error), "out of memory");
  seawall_error_free(error);
  EXPECT_EQ(seawall_reader_next(reader, &record), -1);  // it stays there
  EXPECT_EQ(seawall_reader_seek(reader, 1, nullptr), SEAWALL_OK);
  EXPECT_EQ(seawall_reader_next(reader, &record), 1);
  EXPECT_EQ(record.lsn, 1U);
  seawall_reader_free(reader);
  seawall_log_free(log);
}

// Without memory even for its message, an error has its code.
TEST(CApiMemoryTest, ACodeNeedsNoMemory) {
  seawall_error* error = nullptr;
  allocations_left = 0;
  const seawall_code code = seawall_log_wait(nullptr, 1, SEAWALL_DURABLE, &error);
  allocations_left = -1;
  EXPECT_NE(code, SEAWALL_OK);
  EXPECT_EQ(seawall_error_code(error), code);
  EXPECT_STRNE(seawall_error_message(error), "");
  seawall_error_free(error);
}

TEST(CApiThreadTest, AnotherThreadEndsAWait) {
  const seawall::TempDir parent;
  seawall_log* log = nullptr;
  ASSERT_EQ(seawall_log_open((parent / "log").c_str(), nullptr, &log, nullptr), SEAWALL_OK);
  seawall_reader* reader = nullptr;
  ASSERT_EQ(seawall_log_new_reader(log, 1, SEAWALL_READ_DURABLE, &reader, nullptr), SEAWALL_OK);
  seawall_code code = SEAWALL_OK;
  std::thread waiting([&] {
    while (seawall_reader_wait(reader, 100, nullptr) == SEAWALL_DEADLINE_EXCEEDED) {
      EXPECT_EQ(seawall_reader_seek(reader, 1, nullptr), SEAWALL_OK);
    }
    code = seawall_reader_wait(reader, -1, nullptr);
  });
  seawall_reader_cancel(reader);
  waiting.join();
  EXPECT_EQ(code, SEAWALL_CANCELLED);
  seawall_reader_free(reader);
  seawall_log_free(log);
}

// Damage is told as it is in C++.
TEST(CApiErrorTest, DamageNamesFileAndOffset) {
  const seawall::TempDir parent;
  const std::string directory = parent / "log";
  seawall_log* log = nullptr;
  ASSERT_EQ(seawall_log_open(directory.c_str(), nullptr, &log, nullptr), SEAWALL_OK);
  const std::string record(100, 'r');
  ASSERT_EQ(
      seawall_log_append(log, record.data(), record.size(), SEAWALL_DURABLE, nullptr, nullptr),
      SEAWALL_OK);
  seawall_log_free(log);
  std::string segment;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    const std::string bytes = seawall::ReadFile(entry.path());
    const size_t at = bytes.find(record);
    if (at == std::string::npos) continue;
    segment = entry.path();
    std::string damaged = bytes;
    damaged[at] ^= 1;
    seawall::WriteFile(segment, damaged);
  }
  ASSERT_NE(segment, "");
  seawall_error* error = nullptr;
  EXPECT_EQ(seawall_log_open(directory.c_str(), nullptr, &log, &error), SEAWALL_DATA_LOSS);
  EXPECT_EQ(log, nullptr);
  EXPECT_NE(std::string(seawall_error_message(error)).find(segment), std::string::npos)
      << seawall_error_message(error);
  seawall_error_free(error);
}

}  // namespace
