/* SPDX-License-Identifier: Apache-2.0 */
/* What a C program does with seawall/c.h; tests/c/c_api_test.cc runs it. */
#ifndef SEAWALL_TESTS_C_C_API_USER_H_
#define SEAWALL_TESTS_C_C_API_USER_H_

#ifdef __cplusplus
extern "C" {
#endif

/* Each takes a directory of its own that does not exist, and returns NULL or what went wrong. */
typedef struct CApiCase {
  const char* name;
  const char* (*run)(const char* directory);
} CApiCase;

/* Ends with a name that is NULL. */
extern const CApiCase kCApiCases[];

#ifdef __cplusplus
}
#endif

#endif /* SEAWALL_TESTS_C_C_API_USER_H_ */
