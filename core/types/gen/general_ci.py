#!/usr/bin/env python3
"""Makes the weight table of utf8mb3_general_ci and utf8mb4_general_ci.

usage: general_ci.py ../src/collation/general_ci.bin

The rule: a character of the blocks that MySQL folds weighs what the upper case of its base letter does
(canonical decomposition of Unicode 3.2, marks dropped); everything else weighs its code point. MySQL's
table is older than that, so EXCEPTIONS lists where it differs.

Output, little-endian: u8[256] page of each block of 256 code points, 1-based, 0 for identity; then
u16[256] for each page.
"""
import struct
import sys
import unicodedata

BLOCKS = (0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x1E, 0x1F, 0x21, 0x24, 0xFF)
SELF = (
    0x180, 0x19A, 0x19E, 0x340, 0x341, 0x343, 0x344, 0x374, 0x37E, 0x385, 0x387, 0x3D7, 0x3D9, 0x3F3,
    0x3F5, 0x419, 0x48B, 0x4C6, 0x4CA, 0x4CE, 0x501, 0x503, 0x505, 0x507, 0x509, 0x50B, 0x50D, 0x50F,
    0x1FC1, 0x1FCD, 0x1FCE, 0x1FCF, 0x1FD3, 0x1FDD, 0x1FDE, 0x1FDF, 0x1FE3, 0x1FED, 0x1FEE, 0x1FEF,
    0x1FFD, 0x1FBB, 0x1FC9, 0x1FCB, 0x1FDB, 0x1FEB, 0x1FF9, 0x1FFB, 0x2126, 0x212A, 0x212B,
)
EXCEPTIONS = {point: point for point in SELF} | {
    0xDF: 0x53, 0x3F2: 0x3A3, 0x439: 0x419, 0x1F71: 0x1FBB, 0x1F73: 0x1FC9, 0x1F75: 0x1FCB,
    0x1F77: 0x1FDB, 0x1F79: 0x1FF9, 0x1F7B: 0x1FEB, 0x1F7D: 0x1FFB,
}


def weight(point):
    old = unicodedata.ucd_3_2_0
    char = chr(point)
    if point in EXCEPTIONS:
        return EXCEPTIONS[point]
    if point >> 8 not in BLOCKS or old.category(char) == "Cn":
        return point
    decomposed = old.normalize("NFD", char)
    if 0x2190 <= point < 0x2200:
        return point
    upper = decomposed[0].upper()
    folded = len(upper) == 1 and old.category(upper) != "Cn"
    return ord(upper if folded else decomposed[0])


def main(target):
    pages = bytearray(256)
    for i, block in enumerate(BLOCKS):
        pages[block] = i + 1
    out = bytes(pages)
    for block in BLOCKS:
        out += struct.pack("<256H", *(weight(block * 256 + i) for i in range(256)))
    open(target, "wb").write(out)


if __name__ == "__main__":
    main(sys.argv[1])
