// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_TOOLS_SEAWALL_CLI_FRAMING_H_
#define SEAWALL_TOOLS_SEAWALL_CLI_FRAMING_H_

namespace seawall {

// How records lie behind each other in a stream of bytes.
enum class Framing {
  kLines,         // each record is a line, its newline included
  kLengthPrefix,  // each record follows its length, 4 bytes little-endian
};

}  // namespace seawall

#endif  // SEAWALL_TOOLS_SEAWALL_CLI_FRAMING_H_
