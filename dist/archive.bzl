# SPDX-License-Identifier: Apache-2.0
"""cc_archive: one static library of all that a target links, for builds that know no Bazel."""

load("@rules_cc//cc:find_cc_toolchain.bzl", "find_cpp_toolchain", "use_cc_toolchain")
load("@rules_cc//cc/common:cc_info.bzl", "CcInfo")

def _cc_archive_impl(ctx):
    toolchain = find_cpp_toolchain(ctx)
    archives = []
    for linker_input in ctx.attr.dep[CcInfo].linking_context.linker_inputs.to_list():
        for library in linker_input.libraries:
            # Compiled as for the shared library: nothing is compiled twice, and the archive can go
            # into somebody's shared library, too.
            archive = library.pic_static_library or library.static_library
            if archive:
                archives.append(archive)
    output = ctx.actions.declare_file(ctx.attr.out)

    # ar's scripts know no quoting. Paths in an execution root need none.
    script = ctx.actions.declare_file(ctx.label.name + ".mri")
    ctx.actions.write(script, "\n".join(
        ["create " + output.path] +
        ["addlib " + archive.path for archive in archives] +
        ["save", "end", ""],
    ))
    ctx.actions.run_shell(
        command = "rm -f %s && %s -M <%s" % (output.path, toolchain.ar_executable, script.path),
        inputs = depset([script] + archives, transitive = [toolchain.all_files]),
        outputs = [output],
        mnemonic = "CcArchive",
    )
    return [DefaultInfo(files = depset([output]))]

cc_archive = rule(
    implementation = _cc_archive_impl,
    attrs = {
        "dep": attr.label(mandatory = True, providers = [CcInfo]),
        "out": attr.string(mandatory = True),
        "_cc_toolchain": attr.label(default = Label("@rules_cc//cc:current_cc_toolchain")),
    },
    toolchains = use_cc_toolchain(),
)
