#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A journal in Python, through seawall/c.h and ctypes alone: nothing is compiled.

Appends each RECORD, one sync for all of them, and says which are on stable storage as the log's
callback tells; then reads the whole journal back.

  ctypes_journal.py /tmp/journal "one" "two"
  ctypes_journal.py --library build/libseawall.so.1 /tmp/journal
"""
import argparse
import ctypes
from ctypes import POINTER, byref, c_char_p, c_int32, c_int64, c_size_t, c_uint32, c_uint64, c_void_p
import sys

ABI_VERSION = 1
APPENDED, WRITTEN, DURABLE = 0, 1, 2
READ_DURABLE = 0
DURABLE_CALLBACK = ctypes.CFUNCTYPE(None, c_void_p, c_int32, c_char_p)


class Record(ctypes.Structure):  # seawall_record
    _fields_ = [("struct_bytes", c_uint32), ("batch_continues", c_uint32), ("lsn", c_uint64),
                ("payload", c_void_p), ("payload_bytes", c_size_t), ("sealed_unix_micros", c_int64)]


def load(path):
    """The library, its functions with the types that c.h gives them."""
    library = ctypes.CDLL(path)  # which lets other Python threads run while a call waits
    library.seawall_abi_version.restype = c_uint32
    if library.seawall_abi_version() != ABI_VERSION:
        raise OSError(f"{path}: another binary interface than {ABI_VERSION}")
    handle, out, error = c_void_p, POINTER(c_void_p), POINTER(c_void_p)
    for result, name, *arguments in [
        (c_char_p, "code_name", c_int32),
        (c_char_p, "error_message", c_void_p),
        (None, "error_free", c_void_p),
        (c_int32, "log_open", c_char_p, c_void_p, out, error),
        (c_int32, "log_close", handle, error),
        (None, "log_free", handle),
        (c_char_p, "log_recovery_text", handle),
        (c_int32, "log_append", handle, c_char_p, c_size_t, c_int32, POINTER(c_uint64), error),
        (c_int32, "log_wait", handle, c_uint64, c_int32, error),
        (c_int32, "log_notify_durable", handle, c_uint64, DURABLE_CALLBACK, c_void_p, error),
        (c_uint64, "log_first_lsn", handle),
        (c_int32, "log_new_reader", handle, c_uint64, c_int32, out, error),
        (c_int32, "reader_next", handle, POINTER(Record)),
        (c_int32, "reader_status", handle, error),
        (None, "reader_free", handle),
    ]:
        function = getattr(library, "seawall_" + name)
        function.restype, function.argtypes = result, arguments
    return library


class SeawallError(Exception):
    pass


class Journal:
    """One log. Close it, or use it in a `with`."""

    def __init__(self, library, directory):
        self._library = library
        self._log = c_void_p()
        self._callbacks = []  # ctypes' functions must live as long as the log may call them
        self._call("log_open", directory.encode(), None, byref(self._log))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _call(self, name, *arguments):
        error = c_void_p()
        code = getattr(self._library, "seawall_" + name)(*arguments, byref(error))
        if code == 0:
            return
        message = self._library.seawall_error_message(error).decode()
        self._library.seawall_error_free(error)
        raise SeawallError(f"{self._library.seawall_code_name(code).decode()}: {message}")

    def recovery(self):
        return self._library.seawall_log_recovery_text(self._log).decode()

    def append(self, payload, until=APPENDED):
        """The new record's LSN, when it has come as far as `until`."""
        lsn = c_uint64()
        self._call("log_append", self._log, payload, len(payload), until, byref(lsn))
        return lsn.value

    def wait(self, lsn, level=DURABLE):
        self._call("log_wait", self._log, lsn, level)

    def when_durable(self, lsn, function):
        """Calls function(None) when record `lsn` is durable, or function(message) if it cannot be:
        once, on a thread of the log."""
        callback = DURABLE_CALLBACK(
            lambda _, code, message: function(message.decode() if code else None))
        self._callbacks.append(callback)
        self._call("log_notify_durable", self._log, lsn, callback, None)

    def __iter__(self):
        """All durable records: (lsn, payload)."""
        reader = c_void_p()
        first = self._library.seawall_log_first_lsn(self._log)
        self._call("log_new_reader", self._log, first, READ_DURABLE, byref(reader))
        record = Record(struct_bytes=ctypes.sizeof(Record))
        try:
            while self._library.seawall_reader_next(reader, byref(record)) == 1:
                yield record.lsn, ctypes.string_at(record.payload, record.payload_bytes)
            self._call("reader_status", reader)  # damage is no end
        finally:
            self._library.seawall_reader_free(reader)

    def close(self):
        """Makes all durable, runs the callbacks; an error is raised, and the log freed all the same."""
        if not self._log:
            return
        try:
            self._call("log_close", self._log)
        finally:
            self._library.seawall_log_free(self._log)
            self._log = None


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--library", default="libseawall.so.1", help="default: %(default)s")
    parser.add_argument("directory", help="of the log; made if it is not there")
    parser.add_argument("records", nargs="*", metavar="RECORD")
    arguments = parser.parse_args()
    try:
        with Journal(load(arguments.library), arguments.directory) as journal:
            print("opened:", journal.recovery())
            lsn = 0
            for text in arguments.records:
                lsn = journal.append(text.encode())
                journal.when_durable(lsn, lambda failure, lsn=lsn: print(
                    f"{lsn} is on stable storage" if failure is None else f"{lsn}: {failure}"))
            journal.wait(lsn)
            for lsn, payload in journal:
                print(f"{lsn}: {payload.decode(errors='replace')}")
    except (SeawallError, OSError) as error:
        sys.exit(f"ctypes_journal: {error}")


if __name__ == "__main__":
    main()
