# SPDX-License-Identifier: Apache-2.0
"""The engine's folders in the order of dependency: one may include from those above it, never from below."""

LAYERS = [
    "base",
    "format",
    "io",
    "segments",
    "metrics",
    "recovery",
    "store",
    "commit",
    "read",
    "follow",
    "copy",
    "log",
    "c",
]

def visible_below(layer):
    """Who may depend on a layer: the layers below it, and what is not the engine.

    Args:
      layer: a name of LAYERS.

    Returns:
      a list for `visibility`. Bazel refuses a dependency that points upward.
    """
    return [
        "//engine/%s:__pkg__" % below
        for below in LAYERS[LAYERS.index(layer) + 1:]
    ] + [
        "//:__pkg__",
        "//bench:__subpackages__",
        "//dist:__pkg__",
        "//tests:__subpackages__",
        "//tools:__subpackages__",
    ]
