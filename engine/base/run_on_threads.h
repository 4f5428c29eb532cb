// SPDX-License-Identifier: Apache-2.0
// Work that threads take from one another until there is none left, on as many as there are to be
// had.
#ifndef SEAWALL_ENGINE_BASE_RUN_ON_THREADS_H_
#define SEAWALL_ENGINE_BASE_RUN_ON_THREADS_H_

#include <cstddef>
#include <functional>

namespace seawall {

// Calls `work` on this thread and on up to `threads` - 1 others: on fewer, down to this one, where
// the kernel or memory allow no more. Returns when each call has. What one of them throws is thrown
// here, then.
void RunOnThreads(size_t threads, const std::function<void()>& work);

}  // namespace seawall

#endif  // SEAWALL_ENGINE_BASE_RUN_ON_THREADS_H_
