// SPDX-License-Identifier: Apache-2.0
// XXH3 of long input, with AVX2. The whole file is compiled for processors that have it; who calls
// asks first. (Debian's and upstream's builds of xxHash do not agree on whether they export the
// library's own run-time dispatch.)
#if defined(__x86_64__)
// First, so that nothing but xxHash's static functions is compiled for AVX2: an inline function
// that another file has, too, could be linked into code that runs anywhere.
#include <immintrin.h>
#include <limits.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx2"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2")
#endif

#define XXH_INLINE_ALL
#define XXH_VECTOR XXH_AVX2
#include "xxhash.h"

namespace seawall {

uint64_t Xxh3Avx2(const char* bytes, size_t size) { return XXH3_64bits(bytes, size); }

}  // namespace seawall

#ifdef __clang__
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif
