// Seawall as a stranger uses it: main DIR appends one record to the log in DIR, waits until it is
// on stable storage, and says so.

#include <iostream>
#include <string>

#include "seawall/log.h"

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: main DIR\n";
    return 2;
  }
  auto log = seawall::Log::Open(argv[1], seawall::Options());
  if (!log.ok()) {
    std::cerr << log.status() << "\n";
    return 1;
  }
  auto lsn = (*log)->Append("x");
  if (!lsn.ok()) {
    std::cerr << lsn.status() << "\n";
    return 1;
  }
  auto durable = (*log)->WaitDurable(*lsn);
  if (!durable.ok()) {
    std::cerr << durable << "\n";
    return 1;
  }
  std::cout << "record " << *lsn << " is durable\n";
}
