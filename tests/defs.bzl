# SPDX-License-Identifier: Apache-2.0
"""What the tests in this folder have in common."""

load("@rules_cc//cc:defs.bzl", "cc_test")

def seawall_test(name, deps = [], srcs = None, size = "small", threads = True, tags = [], **more):
    """A GoogleTest program of NAME.cc.

    Args:
      name: of the test, and of its source.
      deps: what it tests; gtest_main is always among them.
      srcs: where its source has another name.
      size: as in cc_test.
      threads: False where the program never has a second thread: TSan has nothing to look for.
      tags: as in cc_test. "plain-only" keeps a test out of the sanitizers' runs.
      **more: as in cc_test.
    """
    cc_test(
        name = name,
        size = size,
        srcs = srcs or [name + ".cc"],
        deps = deps + ["@com_google_googletest//:gtest_main"],
        tags = tags + ([] if threads else ["no-tsan"]),
        **more
    )

def full_and_smoke_test(name, deps, smoke_tags = [], **more):
    """FOO_test, all of it and without sanitizers, and FOO_smoke_test, a part of it for them.

    Args:
      name: FOO_test.
      deps: as in seawall_test.
      smoke_tags: of the smoke test, beside "no-plain".
      **more: of both, as in cc_test.
    """
    seawall_test(name = name, size = "large", tags = ["plain-only"], deps = deps, **more)
    seawall_test(
        name = name[:-len("_test")] + "_smoke_test",
        size = "medium",
        srcs = [name + ".cc"],
        local_defines = ["SEAWALL_SMOKE"],
        tags = ["no-plain"] + smoke_tags,
        deps = deps,
        **more
    )
