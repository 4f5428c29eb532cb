#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Decodes a log's directory by engine/format/FORMAT.md alone, and shares no code with the engine.

  tests/format/format_decode.py DIRECTORY

Prints one line for CONTROL, for each segment, group, record and index, oldest first, then "end LSN".
Exit status: 0 when all of it is valid, 1 at the first byte that is not, 77 where there is no
libxxhash.so.0 to compute XXH3 with (Debian: libxxhash0).
"""

import ctypes
import os
import re
import struct
import sys

MASK = 2**64 - 1
HEADER, BLOCK, COPY, SLOT = 112, 4096, 3584, 4096


def xxh3(data):
    return LIBRARY.XXH3_64bits(bytes(data), len(data))


def avalanche(x):
    x ^= x >> 33
    x = x * 0xFF51AFD7ED558CCD & MASK
    x ^= x >> 33
    x = x * 0xC4CEB9FE1A85EC53 & MASK
    return x ^ x >> 33


def checksum(data, seed, position):
    return avalanche(xxh3(data) ^ avalanche((seed + position) & MASK))


def u32(data, at):
    return struct.unpack_from("<I", data, at)[0]


def u64(data, at):
    return struct.unpack_from("<Q", data, at)[0]


def fail(path, offset, what):
    sys.exit(f"{path}, offset {offset}: {what}")


def numbers(*values):
    """True if and only if all are below what LSNs, generations, offsets and sequences reach."""
    return max(values) < 1 << 53


def sector(data, magic, used, features=0):
    """True if and only if the sector at the start of `data` is valid."""
    if len(data) < used or data[:8] != magic:
        return False
    if u32(data, 8) != 1 or u32(data, 12) & ~features != 0:
        return False
    return u64(data, used - 8) == checksum(data[: used - 8], int.from_bytes(magic, "little"), 0)


def read_control(path):
    data = open(path, "rb").read()
    best = None
    for at in range(0, len(data), SLOT):
        slot = data[at : at + SLOT]
        metadata = b""
        if len(slot) == SLOT and u32(slot, 12) == 1:
            metadata = slot[296 : 296 + u32(slot, 288)]
            if not sector(slot, b"SEAWALCT", 560, features=1) or not 1 <= u32(slot, 288) <= 256:
                continue
        elif not sector(slot, b"SEAWALCT", 296):
            continue
        if u32(slot, 68) > 8:
            continue
        counters = [u64(slot, field) for field in (32, 40, 48, 56, 72, 88)]
        for i in range(u32(slot, 68)):
            counters += [u64(slot, 96 + 24 * i), u64(slot, 112 + 24 * i)]
        if not numbers(*counters):
            continue
        if best is None or u64(slot, 32) > best["sequence"]:
            best = {
                "log_id": slot[16:32],
                "sequence": u64(slot, 32),
                "first_generation": u64(slot, 40),
                "tail_generation": u64(slot, 48),
                "durable_lsn": u64(slot, 56),
                "closed": u32(slot, 64) != 0,
                "closed_end": u64(slot, 72),
                "closed_digest": u64(slot, 80),
                "cursor_sequence": u64(slot, 88),
                "metadata": metadata,
                "entries": [struct.unpack_from("<QQQ", slot, 96 + 24 * i)
                            for i in range(u32(slot, 68))],
            }
    if best is None:
        fail(path, 0, "no valid slot")
    return best


def read_header(data):
    copies = []
    for at in (0, COPY):
        copy = data[at : at + HEADER]
        if not sector(copy, b"SEAWALSG", HEADER, features=1) or u32(copy, 48) > 1:
            continue
        if not numbers(*(u64(copy, field) for field in (32, 56, 64, 72, 80))):
            continue
        if u32(copy, 48) == 0 or u64(copy, 56) >= 1:
            copies.append(copy)
    if not copies:
        return None
    begun = [copy for copy in copies if u32(copy, 48) == 1]
    copy = (begun or copies)[0]
    return {
        "log_id": copy[16:32],
        "generation": u64(copy, 32),
        "salt": u64(copy, 40),
        "begun": u32(copy, 48) == 1,
        "recycled": u32(copy, 52) != 0,
        "cursors": u32(copy, 12) & 1 != 0,
        "base_lsn": u64(copy, 56),
        "durable_lsn": u64(copy, 64),
        "predecessor": (u64(copy, 72), u64(copy, 80), u64(copy, 88)),
    }


def groups_begin(header):
    return BLOCK + 2 * SLOT if header["cursors"] else BLOCK


def cursor_table(data, header):
    """The newest valid slot: (sequence, {name: LSN}), or None."""
    best = None
    for at in (BLOCK, BLOCK + SLOT):
        slot = data[at : at + SLOT]
        if len(slot) < SLOT or slot[8:12] != b"SWCU" or u32(slot, 12) > 64:
            continue
        if u64(slot, 0) != checksum(slot[8:], header["salt"], at):
            continue
        entries = [slot[32 + 56 * i : 88 + 56 * i] for i in range(u32(slot, 12))]
        if not numbers(u64(slot, 16), *(u64(entry, 0) for entry in entries)):
            continue
        if best is None or u64(slot, 16) > best[0]:
            best = (u64(slot, 16),
                    {entry[16 : 16 + u32(entry, 8)].hex(): u64(entry, 0) for entry in entries})
    return best


def groups(path, data, header):
    """Yields (offset, end, first LSN, records, digest after it) while groups are valid."""
    salt, at, digest = header["salt"], groups_begin(header), 0
    while at + 48 <= len(data):
        head = data[at : at + 48]
        if head[8:12] != b"SWGR" or u64(head, 0) != checksum(head[8:], salt, at):
            return
        size, count, first = u32(head, 12), u32(head, 16), u64(head, 24)
        if size < 48 or size % 8 or count == 0 or at + size > len(data):
            return
        if first == 0 or not numbers(first, u64(head, 32)):
            return
        records, where = [], at + 48
        for lsn in range(first, first + count):
            length, flags = u32(data, where + 8), u32(data, where + 12)
            if where + 16 + length > at + size or flags > 1:
                fail(path, where, "a record that does not fit its group, or has unknown flags")
            payload = data[where + 16 : where + 16 + length]
            seed = avalanche(salt ^ (flags << 32 | length))
            if u64(data, where) != checksum(payload, seed, lsn):
                fail(path, where, f"record {lsn} has a wrong checksum")
            records.append((lsn, flags, payload))
            where += 16 + length
        digest = avalanche((digest + u64(head, 0) + 1) & MASK)
        yield at, at + size, first, u64(head, 32), records, digest
        at += size


def check_index(path, data, header, end, last_lsn, found):
    """Checks the index behind `end`, if there is one, against the groups; returns its entries."""
    generation, offset, digest = end
    at = (offset + BLOCK - 1) // BLOCK * BLOCK
    if offset <= 1 << 17 or data[at : at + 8] != b"SEAWALIX":
        return None
    if (u32(data, at + 8), u32(data, at + 12)) != (1, 0):
        return None
    groups, records = u32(data, at + 48), u32(data, at + 52)
    behind = at + 56 + 24 * groups + 16 * records
    if behind + 8 > len(data) or u64(data, behind) != checksum(data[at:behind], header["salt"], at):
        return None
    if struct.unpack_from("<QQQQ", data, at + 16) != (generation, last_lsn, offset, digest):
        return None
    entries = [struct.unpack_from("<QQQ", data, at + 56 + 24 * i) for i in range(groups)]
    chosen = [struct.unpack_from("<QQ", data, at + 56 + 24 * groups + 16 * i)
              for i in range(records)]
    # Which records have entries is the writer's choice, which groups have follows from it.
    wanted, last, left = [], None, list(chosen)
    for lsn, where, digest, within in found:
        if not wanted or where >= wanted[-1][1] + (1 << 15):
            wanted.append((lsn, where, digest))
            last = where
        for entry in within:
            if left and entry == left[0]:
                if entry[1] < last + (1 << 15):
                    fail(path, at, f"an entry for record {entry[0]}, too near to that at {last}")
                last = left.pop(0)[1]
    if entries != wanted or left:
        fail(path, at, f"expected {wanted}, found {entries}; no such records: {left}")
    return f"{groups} {records}"


def main():
    directory = sys.argv[1]
    control = read_control(os.path.join(directory, "CONTROL"))
    print("metadata", control["metadata"].hex())
    print("control", control["first_generation"], control["tail_generation"],
          control["durable_lsn"], "closed" if control["closed"] else "open")
    files = {}
    for name in os.listdir(directory):
        if re.fullmatch(r"\d{16}\.seg", name) and int(name[:-4]) < 2**53:
            data = open(os.path.join(directory, name), "rb").read()
            header = read_header(data)
            if header and header["begun"] and header["generation"] == int(name[:-4]):
                if header["log_id"] != control["log_id"]:
                    fail(name, 16, "a segment of another log")
                files[header["generation"]] = (name, data, header)
    chain, end = [max(files)], None
    while files[chain[0]][2]["predecessor"][0] >= max(control["first_generation"], 1):
        chain.insert(0, files[chain[0]][2]["predecessor"][0])
    next_lsn = files[chain[0]][2]["base_lsn"]
    for i, generation in enumerate(chain):
        name, data, header = files[generation]
        if header["base_lsn"] != next_lsn:
            fail(name, 56, f"expected first record {next_lsn}, found {header['base_lsn']}")
        if i + 1 < len(chain):
            end = files[chain[i + 1]][2]["predecessor"]
        elif control["closed"]:
            end = (control["tail_generation"], control["closed_end"], control["closed_digest"])
        else:
            end = None
        if i + 1 == len(chain) and header["cursors"]:
            table = cursor_table(data, header)
            if table is None and i > 0 and files[chain[i - 1]][2]["cursors"]:
                table = cursor_table(*files[chain[i - 1]][1:])
            if table is None or table[0] < control["cursor_sequence"]:
                fail(name, BLOCK, f"no table of cursors from {control['cursor_sequence']} on")
            for cursor, lsn in sorted(table[1].items()):
                print("cursor", lsn, cursor)
        print("segment", generation, header["base_lsn"], header["durable_lsn"],
              "recycled" if header["recycled"] else "new")
        at, digest, found = groups_begin(header), 0, []
        for offset, after, first, durable, records, now in groups(name, data, header):
            if end and offset >= end[1]:
                break
            if first != next_lsn:
                fail(name, offset, f"expected record {next_lsn}, found {first}")
            print("group", offset, after - offset, first, len(records), durable)
            where, within = offset + 48, []
            for lsn, flags, payload in records:
                print("record", lsn, flags, payload.hex())
                within.append((lsn, where))
                where += 16 + len(payload)
            found.append((first, offset, digest, within[1:]))
            next_lsn += len(records)
            at, digest = after, now
        if end and end != (generation, at, digest):
            fail(name, at, f"expected generation, end, digest {end}, found {generation, at, digest}")
        entries = end and check_index(name, data, header, end, next_lsn - 1, found)
        if entries:
            print("index", generation, entries)
    print("end", next_lsn - 1)


if __name__ == "__main__":
    try:
        LIBRARY = ctypes.CDLL("libxxhash.so.0")
    except OSError:
        print("no libxxhash.so.0", file=sys.stderr)
        sys.exit(77)
    LIBRARY.XXH3_64bits.restype = ctypes.c_uint64
    LIBRARY.XXH3_64bits.argtypes = [ctypes.c_char_p, ctypes.c_size_t]
    main()
