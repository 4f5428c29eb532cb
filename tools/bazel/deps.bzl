# SPDX-License-Identifier: Apache-2.0
"""Seawall's dependencies for Bazel 4 to 6, without a download. See seawall_dependencies() below.

The libraries are Debian's, under upstream's repository names and labels, so that BUILD files are
the same here and with MODULE.bazel. Debian's headers lie in the compiler's own search path: they
are system headers (our -Werror does not judge them) and a target here only has to say what to link.
"""

load("//tools/bazel:absl.bzl", "ABSL_PACKAGES")

def _generated_repository_impl(ctx):
    for header, package in ctx.attr.needs.items():
        if not ctx.path(header).exists:
            fail("%s is missing. On Debian or Ubuntu: apt-get install %s" % (header, package))
    for path, content in ctx.attr.files.items():
        ctx.file(path, content, executable = False)

# A repository of a few files whose text is given here. `needs` names headers that must be installed,
# each with the Debian package that has it.
_generated_repository = repository_rule(
    implementation = _generated_repository_impl,
    attrs = {
        "files": attr.string_dict(),
        "needs": attr.string_dict(),
    },
    # Look again when the server starts: packages come and go without Bazel's knowledge.
    local = True,
)

def _absl_repository_impl(ctx):
    # Asking the linker's folder, and not a list written down here, fits every Abseil release.
    found = ctx.execute(["sh", "-c", "ls /usr/lib/*/libabsl_*.so /usr/lib/libabsl_*.so 2>/dev/null"])
    names = [path.rpartition("/lib")[2][:-len(".so")] for path in found.stdout.splitlines()]
    if not names:
        fail("Abseil is missing. On Debian or Ubuntu: apt-get install libabsl-dev")

    # All of Abseil is offered to the linker, which keeps the libraries that are used: inline functions
    # in Abseil's headers reach into libraries that one would not guess. Shared, because in a test that
    # is linked dynamically each of several archives would bring its own copy of Abseil's globals.
    linkopts = ["-Wl,--push-state,--as-needed"] + ["-l" + name for name in names] + ["-Wl,--pop-state"]
    ctx.file("BUILD", 'cc_library(name = "absl", linkopts = %r, visibility = ["//:__subpackages__"])\n' % linkopts)
    for package, targets in ABSL_PACKAGES.items():
        ctx.file("absl/%s/BUILD" % package, "".join([
            'alias(name = "%s", actual = "//:absl", visibility = ["//visibility:public"])\n' % target
            for target in targets
        ]))

_absl_repository = repository_rule(implementation = _absl_repository_impl, local = True)

def _libraries(linkopts):
    """The text of a BUILD file with public libraries that consist of linker options."""
    return "".join([
        'cc_library(name = "%s", linkopts = %r, visibility = ["//visibility:public"])\n' % (name, options)
        for name, options in linkopts.items()
    ])

def _natives(rules):
    """The text of a .bzl file that exports Bazel's built-in rules."""
    return "".join(["%s = native.%s\n" % (rule, rule) for rule in rules])

def seawall_dependencies():
    """Defines what Seawall needs, except what the calling workspace has defined already."""
    have = native.existing_rules()

    if "com_google_absl" not in have:
        _absl_repository(name = "com_google_absl")

    if "xxhash" not in have:
        _generated_repository(
            name = "xxhash",
            files = {"BUILD": _libraries({"xxhash": ["-lxxhash"]})},
            needs = {"/usr/include/xxhash.h": "libxxhash-dev"},
        )

    if "nlohmann_json" not in have:
        # Headers only; a label of the Bazel Central Registry's module.
        _generated_repository(
            name = "nlohmann_json",
            files = {"BUILD": _libraries({"json": []})},
            needs = {"/usr/include/nlohmann/json.hpp": "nlohmann-json3-dev"},
        )

    if "com_google_googletest" not in have:
        # As upstream: gtest includes gmock.
        _generated_repository(
            name = "com_google_googletest",
            files = {"BUILD": _libraries({
                "gtest": ["-lgmock", "-lgtest", "-lpthread"],
                "gtest_main": ["-lgmock_main", "-lgmock", "-lgtest", "-lpthread"],
            })},
            needs = {
                "/usr/include/gmock/gmock.h": "libgmock-dev",
                "/usr/include/gtest/gtest.h": "libgtest-dev",
            },
        )

    if "com_github_google_benchmark" not in have:
        _generated_repository(
            name = "com_github_google_benchmark",
            files = {"BUILD": _libraries({
                "benchmark": ["-lbenchmark", "-lpthread"],
                "benchmark_main": ["-lbenchmark_main", "-lbenchmark", "-lpthread"],
            })},
            needs = {"/usr/include/benchmark/benchmark.h": "libbenchmark-dev"},
        )

    # Only examples/journal_server needs these two. They are no part of what a user of the library
    # links, and so are looked for only when that is built.
    if "hiredis" not in have:
        _generated_repository(
            name = "hiredis",
            files = {"BUILD": _libraries({"hiredis": ["-lhiredis"]})},
            needs = {"/usr/include/hiredis/hiredis.h": "libhiredis-dev"},
        )

    if "libuv" not in have:
        _generated_repository(
            name = "libuv",
            files = {"BUILD": _libraries({"libuv": ["-luv"]})},
            needs = {"/usr/include/uv.h": "libuv1-dev"},
        )

    # Bazel 4 itself loads the following three and would download them. The rules in question are
    # built into Bazel 4, so handing them on is enough; nothing here measures coverage.
    if "rules_cc" not in have:
        _generated_repository(
            name = "rules_cc",
            files = {
                "cc/BUILD": 'alias(name = "current_cc_toolchain", ' +
                            'actual = "@bazel_tools//tools/cpp:current_cc_toolchain", ' +
                            'visibility = ["//visibility:public"])\n',
                "cc/common/BUILD": "",
                # A file cannot bind the name of a built-in to itself.
                "cc/common/cc_info.bzl": """
load(":native.bzl", "native_cc_info")

CcInfo = native_cc_info
""",
                "cc/common/native.bzl": "native_cc_info = CcInfo\n",
                "cc/find_cc_toolchain.bzl": """
load("@bazel_tools//tools/cpp:toolchain_utils.bzl", _find_cpp_toolchain = "find_cpp_toolchain")

find_cpp_toolchain = _find_cpp_toolchain

def use_cc_toolchain():
    return ["@bazel_tools//tools/cpp:toolchain_type"]
""",
                "cc/defs.bzl": _natives([
                    "cc_binary",
                    "cc_import",
                    "cc_library",
                    "cc_proto_library",
                    "cc_test",
                    "cc_toolchain",
                    "cc_toolchain_suite",
                    "fdo_prefetch_hints",
                    "fdo_profile",
                    "objc_library",
                ]),
            },
        )

    if "rules_java" not in have:
        _generated_repository(
            name = "rules_java",
            files = {
                "java/BUILD": "",
                "java/defs.bzl": _natives([
                    "java_binary",
                    "java_import",
                    "java_library",
                    "java_proto_library",
                    "java_runtime",
                    "java_test",
                    "java_toolchain",
                ]),
            },
        )

    if "remote_coverage_tools" not in have:
        _generated_repository(
            name = "remote_coverage_tools",
            files = {"BUILD": "".join([
                'filegroup(name = "%s", visibility = ["//visibility:public"])\n' % name
                for name in ["coverage_report_generator", "lcov_merger"]
            ])},
        )
