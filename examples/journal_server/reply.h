// SPDX-License-Identifier: Apache-2.0
// Replies in RESP2, appended to a buffer.
#ifndef SEAWALL_EXAMPLES_JOURNAL_SERVER_REPLY_H_
#define SEAWALL_EXAMPLES_JOURNAL_SERVER_REPLY_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace journal_server {

// "+OK"
void AddStatus(std::string_view text, std::string* out);
// `text` begins with a code: "ERR ...". Line breaks in it, which would end the reply, become
// blanks.
void AddError(std::string_view text, std::string* out);
void AddInteger(int64_t number, std::string* out);
void AddBulk(std::string_view bytes, std::string* out);
// What a missing value is; and a missing array.
void AddNull(std::string* out);
void AddNullArray(std::string* out);
// `elements` replies follow.
void AddArray(size_t elements, std::string* out);

}  // namespace journal_server

#endif  // SEAWALL_EXAMPLES_JOURNAL_SERVER_REPLY_H_
