// SPDX-License-Identifier: Apache-2.0
#include "examples/journal_server/request_parser.h"

#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace journal_server {
namespace {

using Result = RequestParser::Result;

constexpr size_t kLimit = 4 << 20;

// All requests in `bytes`, fed in pieces; then the error, if there is one, as "! ...".
std::vector<Words> Parse(const std::string& bytes, size_t piece) {
  RequestParser parser(kLimit);
  std::vector<Words> requests;
  for (size_t at = 0; at < bytes.size(); at += piece) {
    parser.Feed(std::string_view(bytes).substr(at, piece));
    Words words;
    Result result;
    while ((result = parser.Next(&words)) == Result::kRequest) requests.push_back(words);
    if (result == Result::kError) {
      EXPECT_FALSE(parser.error().empty());
      requests.push_back({"!", parser.error()});
      break;
    }
  }
  return requests;
}

TEST(RequestParserTest, ArraysAndInlineCommandsInPiecesOfAnySize) {
  const std::string bytes =
      "*2\r\n$3\r\nGET\r\n$5\r\nab\r\nc\r\n"
      "PING\r\n"
      "*1\r\n$4\r\nPING\r\n"
      "  set key \"two words\\n\" 'it''s'\n"
      "*0\r\n"
      "*-1\r\n"
      "\r\n"
      "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$0\r\n\r\n";
  const std::vector<Words> expected = {
      {"GET", "ab\r\nc"}, {"PING"}, {"PING"}, {"set", "key", "two words\n", "its"}, {}, {}, {},
      {"SET", "k", ""}};
  for (size_t piece = 1; piece <= bytes.size(); ++piece) {
    EXPECT_EQ(Parse(bytes, piece), expected) << "in pieces of " << piece;
  }
}

TEST(RequestParserTest, WhatIsNoRequestIsAnErrorForGood) {
  for (const std::string bytes :
       {"*1\r\n:5\r\n", "*1\r\n+OK\r\n", "*1\r\n-ERR\r\n", "*1\r\n$-1\r\n",
        "*1\r\n*1\r\n$1\r\na\r\n", "*x\r\n", "*-2\r\n", "*1\r\n$-5\r\n", "*1\r\n$x\r\n",
        "*1048577\r\n", "*99999999999999999999\r\n", "*1\r\nPING\r\n", "set \"a\r\n",
        "set 'a\r\n"}) {
    RequestParser parser(kLimit);
    parser.Feed(bytes);
    Words words;
    EXPECT_EQ(parser.Next(&words), Result::kError) << bytes;
    EXPECT_FALSE(parser.error().empty()) << bytes;
    parser.Feed("*1\r\n$4\r\nPING\r\n");
    EXPECT_EQ(parser.Next(&words), Result::kError) << bytes;
  }
}

TEST(RequestParserTest, RequestsBeforeAnErrorAreReturned) {
  const std::vector<Words> requests = Parse("PING\r\n*1\r\n$4\r\nPING\r\n*1\r\n:1\r\n", 1000);
  ASSERT_EQ(requests.size(), 3u);
  EXPECT_EQ(requests[1], Words{"PING"});
  EXPECT_EQ(requests[2][0], "!");
}

// hiredis 1.0 and later parse types that came with version 3 of the protocol.
TEST(RequestParserTest, WordsOfOtherTypesAreErrors) {
  for (const char* word :
       {":1\r\n", ",1.5\r\n", "#t\r\n", "_\r\n", "(12\r\n", "=5\r\ntxt:x\r\n", "~1\r\n$1\r\nx\r\n",
        "%1\r\n$1\r\nx\r\n$1\r\ny\r\n", "+x\r\n", "-x\r\n"}) {
    RequestParser parser(kLimit);
    Words words;
    parser.Feed(std::string("*2\r\n") + word + "$4\r\nPING\r\n");
    EXPECT_EQ(parser.Next(&words), Result::kError) << word;
  }
}

TEST(RequestParserTest, LongRequestsAreRefusedBeforeTheyAreThere) {
  RequestParser parser(10000);
  Words words;
  parser.Feed("*2\r\n$3\r\nSET\r\n$100000000\r\n");
  EXPECT_EQ(parser.Next(&words), Result::kIncomplete);
  parser.Feed(std::string(9000, 'x'));
  EXPECT_EQ(parser.Next(&words), Result::kIncomplete);
  parser.Feed(std::string(2000, 'x'));
  EXPECT_EQ(parser.Next(&words), Result::kError);
  EXPECT_NE(parser.error().find("10000 bytes"), std::string::npos) << parser.error();
}

TEST(RequestParserTest, ManySmallWordsCountToo) {
  RequestParser parser(10000);
  Words words;
  parser.Feed("*1000000\r\n");
  size_t fed = 0;
  Result result = Result::kIncomplete;
  for (; result == Result::kIncomplete && fed < 1000000; fed += 5) {
    parser.Feed("$0\r\n\r\n");
    result = parser.Next(&words);
  }
  EXPECT_EQ(result, Result::kError);
  EXPECT_LT(fed, 20000u);
}

TEST(RequestParserTest, AnInlineCommandWithoutEndIsRefused) {
  RequestParser parser(kLimit);
  Words words;
  parser.Feed(std::string(RequestParser::kMaxInlineBytes - 1, 'x'));
  EXPECT_EQ(parser.Next(&words), Result::kIncomplete);
  parser.Feed("xx");
  EXPECT_EQ(parser.Next(&words), Result::kError);
}

// hiredis keeps what was consumed until it has parsed an array.
TEST(RequestParserTest, InlineCommandsForEverTakeNoMemory) {
  RequestParser parser(kLimit);
  Words words;
  const std::string command = "PING " + std::string(1000, 'x') + "\r\n";
  for (int i = 0; i < 1000; ++i) {
    parser.Feed(command.substr(5) + "PING ");
    while (parser.Next(&words) == Result::kRequest) {
    }
    ASSERT_LT(parser.buffered_bytes(), 2 * command.size());
  }
}

}  // namespace
}  // namespace journal_server
