// SPDX-License-Identifier: Apache-2.0
#include <iostream>

#include "seawall/log.h"

absl::Status Run(const char* directory) {
  auto log = seawall::Log::Open(directory, seawall::Options());  // recovers after a crash
  if (!log.ok()) return log.status();
  std::cout << "opened: " << (*log)->recovery_report().ToString() << "\n";

  auto lsn = (*log)->Append("transfer 5 from alice to bob");  // in this process's memory so far
  if (!lsn.ok()) return lsn.status();
  absl::Status durable = (*log)->WaitDurable(*lsn);  // one sync serves all threads that wait
  if (!durable.ok()) return durable;
  std::cout << "record " << *lsn << " is on stable storage\n";

  auto reader = (*log)->NewReader((*log)->first_lsn());
  if (!reader.ok()) return reader.status();
  seawall::Record record;
  while ((*reader)->Next(&record)) std::cout << record.lsn << ": " << record.payload << "\n";
  if (!(*reader)->status().ok()) return (*reader)->status();
  return (*log)->Close();
}

int main(int argc, char** argv) {
  auto status = argc == 2 ? Run(argv[1]) : absl::InvalidArgumentError("usage: hello DIR");
  if (!status.ok()) std::cerr << status.ToString() << "\n";
  return status.ok() ? 0 : 1;
}
