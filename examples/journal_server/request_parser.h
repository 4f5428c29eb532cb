// SPDX-License-Identifier: Apache-2.0
// Requests out of a byte stream: RESP arrays of bulk strings, parsed by hiredis, and inline
// commands ("PING\r\n", as typed into netcat).
#ifndef SEAWALL_EXAMPLES_JOURNAL_SERVER_REQUEST_PARSER_H_
#define SEAWALL_EXAMPLES_JOURNAL_SERVER_REQUEST_PARSER_H_

#include <hiredis/read.h>

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace journal_server {

using Words = std::vector<std::string>;

// Thread-compatible. Not movable: hiredis holds its address.
class RequestParser {
 public:
  enum class Result {
    kRequest,     // `words` holds one; none at all for an empty one, which has no reply
    kIncomplete,  // feed more
    kError,       // error() says what; for good, since nobody knows where the next request begins
  };

  // The most words of a request, as Redis has it.
  static constexpr size_t kMaxWords = 1 << 20;
  static constexpr size_t kMaxInlineBytes = 64 << 10;

  // A request that takes more than `max_request_bytes` of memory, its words and what a word itself
  // takes, is an error as soon as so much of it is there.
  explicit RequestParser(size_t max_request_bytes);
  RequestParser(const RequestParser&) = delete;
  RequestParser& operator=(const RequestParser&) = delete;

  void Feed(std::string_view bytes);
  // The words are copies: those of the last request are overwritten.
  Result Next(Words* words);

  const std::string& error() const { return error_; }
  // Fed and not yet returned.
  size_t buffered_bytes() const { return reader_ == nullptr ? 0 : reader_->len - reader_->pos; }

 private:
  struct Free {
    void operator()(redisReader* reader) const { redisReaderFree(reader); }
  };

  static void* OnString(const redisReadTask* task, char* bytes, size_t size);
  // The count is an int before hiredis 1.0, and a size_t from then on.
  template <typename Count>
  static void* OnArray(const redisReadTask* task, Count words) {
    return Of(task)->BeginArray(task, static_cast<size_t>(words));
  }
  static void* OnInteger(const redisReadTask* task, long long value);
  static void* OnNil(const redisReadTask* task);
  static void OnFree(void*) {}

  // What hiredis calls back with the parts of a reply, which a request is to it.
  static redisReplyObjectFunctions* Functions();
  static RequestParser* Of(const redisReadTask* task) {
    return static_cast<RequestParser*>(task->privdata);
  }
  void* BeginArray(const redisReadTask* task, size_t words);

  Result NextArray(Words* words);
  Result NextInline(Words* words);
  Result Fail(std::string error);

  const size_t max_request_bytes_;
  std::unique_ptr<redisReader, Free> reader_;  // made when the first bytes come
  // Where words of the request under way go: a request may come in many pieces.
  Words pending_;
  size_t pending_count_ = 0;
  size_t pending_bytes_ = 0;   // that they take
  size_t expected_count_ = 0;  // what the array said
  bool in_array_ = false;
  std::string error_;
};

// Splits an inline command at blanks; words may be in single or double quotes. False: a quote is
// not closed.
bool SplitInline(std::string_view line, Words* words);

}  // namespace journal_server

#endif  // SEAWALL_EXAMPLES_JOURNAL_SERVER_REQUEST_PARSER_H_
