#!/usr/bin/env python3
"""Makes the compact collation element table of one version of the Unicode DUCET.

usage: ducet.py allkeys-9.0.0.txt ../src/collation/ducet_9_0_0.bin

The input is Unicode's allkeys.txt. The form of the output, all little-endian:

  u32 count of page slots that are followed by data (pages)
  u32 count of single elements (singles)
  u32 count of sequences (multis)
  u32 count of elements in the pool of sequences (pool)
  u32 count of contractions (contractions)
  u16[4352]            page of each block of 256 code points, 1-based; 0 where all are implicit
  u16[256][pages]      element id of each code point; 0xFFFF is implicit
  element[singles]     ids 0.. are single elements
  u32[multis]          ids singles.. are sequences: first element in the pool << 8 | count
  element[pool]
  contraction[contractions]: u32[3] code points (0 fills up), u32 element id; sorted

An element is u16 primary, u8 secondary, u8 tertiary; a secondary that is not zero is kept as
itself less 0x1F.
"""
import re
import struct
import sys


def read(path):
    chars, contractions = {}, {}
    for line in open(path, encoding="utf-8"):
        match = re.match(r"([0-9A-F ]+?)\s*;\s*((?:\[[.*][0-9A-F.]+\])+)", line)
        if not match:
            continue
        points = tuple(int(p, 16) for p in match[1].split())
        elements = []
        for element in re.findall(r"\[[.*]([0-9A-F.]+)\]", match[2]):
            primary, secondary, tertiary = (int(w, 16) for w in element.split(".")[:3])
            packed_secondary = secondary - 0x1F if secondary else 0
            assert packed_secondary < 256 and tertiary < 256 and (secondary == 0 or secondary >= 0x20)
            elements.append((primary, packed_secondary, tertiary))
        if len(points) == 1:
            chars[points[0]] = tuple(elements)
        else:
            assert len(points) <= 3
            contractions[points] = tuple(elements)
    return chars, contractions


def main(source, target):
    chars, contractions = read(source)
    sequences = sorted(set(chars.values()) | set(contractions.values()))
    singles = [s for s in sequences if len(s) == 1]
    multis = [s for s in sequences if len(s) != 1]
    ids = {s: i for i, s in enumerate(singles + multis)}
    pool, refs = [], []
    for s in multis:
        refs.append(len(pool) << 8 | len(s))
        pool.extend(s)
    page_of, pages = [0] * 4352, []
    for block in range(4352):
        row = [ids[chars[c]] if c in chars else 0xFFFF for c in range(block * 256, block * 256 + 256)]
        if any(i != 0xFFFF for i in row):
            pages.append(row)
            page_of[block] = len(pages)
    element = lambda e: struct.pack("<HBB", *e)
    out = struct.pack("<5I", len(pages), len(singles), len(multis), len(pool), len(contractions))
    out += struct.pack("<4352H", *page_of)
    out += b"".join(struct.pack("<256H", *row) for row in pages)
    out += b"".join(element(s[0]) for s in singles)
    out += b"".join(struct.pack("<I", r) for r in refs)
    out += b"".join(element(e) for e in pool)
    for points in sorted(contractions, key=lambda p: (p + (0, 0))[:3]):
        out += struct.pack("<4I", *(points + (0, 0))[:3], ids[contractions[points]])
    open(target, "wb").write(out)
    print(len(out), "bytes", len(pages), "pages", len(singles), len(multis), len(pool), len(contractions))


main(*sys.argv[1:3])
