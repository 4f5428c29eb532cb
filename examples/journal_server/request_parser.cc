// SPDX-License-Identifier: Apache-2.0
#include "examples/journal_server/request_parser.h"

#include <new>
#include <utility>

#include "absl/strings/str_cat.h"

namespace journal_server {
namespace {

// hiredis wants to be given objects; that they are not null is all that matters here.
void* Something(const redisReadTask* task) { return task->privdata; }

bool IsBlank(char c) { return c == ' ' || c == '\t' || c == '\r'; }

// One quoted word; `*at` is behind the opening quote, then behind the closing one.
bool TakeQuoted(std::string_view line, char quote, size_t* at, std::string* word) {
  while (*at < line.size()) {
    char c = line[(*at)++];
    if (c == quote) return true;
    if (c == '\\' && *at < line.size()) {
      c = line[(*at)++];
      if (quote == '"' && c == 'n') c = '\n';
      if (quote == '"' && c == 'r') c = '\r';
      if (quote == '"' && c == 't') c = '\t';
    }
    word->push_back(c);
  }
  return false;
}

}  // namespace

bool SplitInline(std::string_view line, Words* words) {
  words->clear();
  size_t at = 0;
  for (;;) {
    while (at < line.size() && IsBlank(line[at])) ++at;
    if (at == line.size()) return true;
    std::string& word = words->emplace_back();
    while (at < line.size() && !IsBlank(line[at])) {
      const char c = line[at++];
      if (c != '"' && c != '\'') {
        word.push_back(c);
      } else if (!TakeQuoted(line, c, &at, &word)) {
        return false;
      }
    }
  }
}

RequestParser::RequestParser(size_t max_request_bytes) : max_request_bytes_(max_request_bytes) {}

redisReplyObjectFunctions* RequestParser::Functions() {
  // By name: hiredis 1.0 put new members among the old ones.
  static redisReplyObjectFunctions functions = [] {
    redisReplyObjectFunctions made = {};
    made.createString = OnString;
    made.createArray = OnArray;
    made.createInteger = OnInteger;
    made.createNil = OnNil;
    made.freeObject = OnFree;
    return made;
  }();
  return &functions;
}

void RequestParser::Feed(std::string_view bytes) {
  if (!error_.empty()) return;
  if (reader_ == nullptr) {
    reader_.reset(redisReaderCreateWithFunctions(Functions()));
    if (reader_ == nullptr) throw std::bad_alloc();
    reader_->privdata = this;
  }
  if (redisReaderFeed(reader_.get(), bytes.data(), bytes.size()) != REDIS_OK) {
    throw std::bad_alloc();
  }
}

RequestParser::Result RequestParser::Next(Words* words) {
  if (!error_.empty()) return Result::kError;
  if (!in_array_ && buffered_bytes() == 0) return Result::kIncomplete;
  if (!in_array_ && reader_->buf[reader_->pos] != '*') return NextInline(words);
  const Result result = NextArray(words);
  if (result == Result::kIncomplete && buffered_bytes() > max_request_bytes_) {
    return Fail(absl::StrCat("request longer than ", max_request_bytes_, " bytes"));
  }
  return result;
}

RequestParser::Result RequestParser::NextArray(Words* words) {
  if (!in_array_) {
    pending_count_ = 0;
    pending_bytes_ = 0;
    expected_count_ = 0;
  }
  in_array_ = true;
  void* reply = nullptr;
  const int status = redisReaderGetReply(reader_.get(), &reply);
  if (!error_.empty()) return Result::kError;
  if (status != REDIS_OK) return Fail(reader_->errstr);
  if (reply == nullptr) return Result::kIncomplete;
  in_array_ = false;
  // hiredis 1.0 knows booleans and doubles, which have no callback here and are no words.
  if (pending_count_ != expected_count_) return Fail("expected '$', got another type");
  pending_.resize(pending_count_);
  words->swap(pending_);
  return Result::kRequest;
}

// hiredis has no inline commands: between two arrays its buffer and position are ours to read.
RequestParser::Result RequestParser::NextInline(Words* words) {
  const std::string_view rest(reader_->buf + reader_->pos, buffered_bytes());
  const size_t end = rest.substr(0, kMaxInlineBytes).find('\n');
  if (end == std::string_view::npos) {
    if (rest.size() < kMaxInlineBytes) return Result::kIncomplete;
    return Fail("too big inline request");
  }
  const bool good = SplitInline(rest.substr(0, end), words);
  reader_->pos += end + 1;
  if (!good) return Fail("unbalanced quotes in request");
  // hiredis lets go of what was consumed when it has parsed an array: perhaps never.
  if (buffered_bytes() == 0 || reader_->pos >= kMaxInlineBytes) {
    const std::string more(reader_->buf + reader_->pos, buffered_bytes());
    reader_.reset();
    if (!more.empty()) Feed(more);
  }
  return Result::kRequest;
}

RequestParser::Result RequestParser::Fail(std::string error) {
  error_ = error.empty() ? "malformed request" : std::move(error);
  reader_.reset();
  in_array_ = false;
  return Result::kError;
}

void* RequestParser::BeginArray(const redisReadTask* task, size_t words) {
  if (task->parent != nullptr) {
    error_ = "expected '$', got '*'";
    return nullptr;
  }
  if (words > kMaxWords) {
    error_ = "invalid multibulk length";
    return nullptr;
  }
  expected_count_ = words;
  return Something(task);
}

void* RequestParser::OnString(const redisReadTask* task, char* bytes, size_t size) {
  RequestParser* self = Of(task);
  if (task->type != REDIS_REPLY_STRING) {
    self->error_ = "expected '$', got a status or an error";
    return nullptr;
  }
  self->pending_bytes_ += size + sizeof(std::string);
  if (self->pending_bytes_ > self->max_request_bytes_) {
    self->error_ = absl::StrCat("request longer than ", self->max_request_bytes_, " bytes");
    return nullptr;
  }
  // The room of an earlier word is used again.
  if (self->pending_count_ == self->pending_.size()) self->pending_.emplace_back();
  self->pending_[self->pending_count_++].assign(bytes, size);
  return Something(task);
}

void* RequestParser::OnInteger(const redisReadTask* task, long long) {
  Of(task)->error_ = "expected '$', got ':'";
  return nullptr;
}

// "*-1" is an empty request; "$-1" among the words is no word.
void* RequestParser::OnNil(const redisReadTask* task) {
  if (task->parent == nullptr) return Something(task);
  Of(task)->error_ = "invalid bulk length";
  return nullptr;
}

}  // namespace journal_server
