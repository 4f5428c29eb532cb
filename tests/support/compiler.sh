# SPDX-License-Identifier: Apache-2.0
# Sourced by scripts that compile without Bazel. Sets
#
#   compiler    ${CXX:-g++} as words: CXX="clang++-19 -stdlib=libc++"
#   libraries   how to link the tests of engine/base, engine/format and engine/io

read -ra compiler <<<"${CXX:-g++}"

# All of Abseil is offered to the linker, which keeps what is used.
set_libraries() {
  local multiarch library
  multiarch="$("${compiler[@]}" -print-multiarch 2>/dev/null)"
  # clang's answer need not be the name of Debian's folder.
  [[ -n "$multiarch" && -d "/usr/lib/$multiarch" ]] || multiarch=
  libraries=(-lgtest_main -lgmock -lgtest -lxxhash -Wl,--push-state,--as-needed)
  shopt -s nullglob
  for library in /usr/lib/${multiarch:-*}/libabsl_*.so; do
    library="${library##*/lib}"
    libraries+=("-l${library%.so}")
  done
  libraries+=(-Wl,--pop-state -lpthread)
}
set_libraries
