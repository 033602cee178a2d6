#!/usr/bin/env python3
"""Makes the weight tables of utf8mb4_unicode_ci (UCA 4.0.0) and utf8mb4_unicode_520_ci (UCA 5.2.0).

usage: unicode_ci.py ../src/collation

The weights are those that MariaDB's WEIGHT_STRING() gives for each code point; its older collations are MySQL's. The
script starts a server of its own in a temporary directory (see tools/record/record.py).

Output, little-endian: u32 number of pages, u32 length of the pool; u16[4352] page of each block of 256 code points, 1-based,
0 for a block without listed code points; u32[256] for each page, (place in the pool << 8 | number of weights), all bits set
for a code point that is not listed; u16[] the pool. What is not listed has implicit weights (as in UTS #10, but with Han
beyond plane 0 among the rest).
"""
import pathlib
import struct
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "tools" / "record"))
from record import Server  # noqa: E402

VERSIONS = {"unicode_ci": "unicode_4_0_0.bin", "unicode_520_ci": "unicode_5_2_0.bin"}


def weights(server, collation):
    """Code point to weights, for all of them."""
    text = f"CONVERT(CHAR(seq USING utf32) USING utf8mb4) COLLATE utf8mb4_{collation}"
    query = f"SELECT seq, HEX(WEIGHT_STRING({text})) FROM seq_0_to_1114111 WHERE seq NOT BETWEEN 55296 AND 57343"
    client = ["mariadb", "--no-defaults", f"--socket={server.socket}", "-uroot", "-N", "--quick", "test", "-e", query]
    subprocess.run([*client[:-3], "-e", "CREATE DATABASE IF NOT EXISTS test"], check=True)
    rows = subprocess.run(client, check=True, capture_output=True, text=True).stdout
    found = {}
    for row in rows.splitlines():
        point, _, hexes = row.partition("\t")
        found[int(point)] = tuple(int(hexes[i : i + 4], 16) for i in range(0, len(hexes), 4))
    return found


def implicit(point, four):
    if four and point > 0xFFFF:
        return (0xFFFD,)
    han = 0x4E00 <= point <= 0x9FFF and point <= (0x9FA5 if four else 0x9FCB)
    compatible = point in (0xFA0E, 0xFA0F, 0xFA11, 0xFA13, 0xFA14, 0xFA1F, 0xFA21, 0xFA23, 0xFA24, 0xFA27, 0xFA28, 0xFA29)
    extended = 0x3400 <= point <= 0x4DB5
    base = 0xFB40 if han or compatible and not four else 0xFB80 if extended else 0xFBC0
    return (base + (point >> 15), point & 0x7FFF | 0x8000)


def table(found, four):
    page_of, pages, pool, places = [], [], [], {}
    for block in range(4352):
        points = range(block * 256, block * 256 + 256)
        listed = {p: found[p] for p in points if p in found and found[p] != implicit(p, four)}
        if not listed:
            page_of.append(0)
            continue
        for sequence in listed.values():
            if sequence not in places:
                places[sequence] = len(pool)
                pool.extend(sequence)
        entry = lambda s: 0xFFFFFFFF if s is None else places[s] << 8 | len(s)  # noqa: E731
        pages.append([entry(listed.get(p)) for p in points])
        page_of.append(len(pages))
    out = struct.pack("<II", len(pages), len(pool)) + struct.pack("<4352H", *page_of)
    for page in pages:
        out += struct.pack("<256I", *page)
    return out + struct.pack(f"<{len(pool)}H", *pool), len(pages)


def main(target):
    with tempfile.TemporaryDirectory() as root:
        server = Server(pathlib.Path(root))
        try:
            for collation, name in VERSIONS.items():
                data, pages = table(weights(server, collation), collation == "unicode_ci")
                (pathlib.Path(target) / name).write_bytes(data)
                print(name, len(data), "bytes,", pages, "pages")
        finally:
            server.stop()


if __name__ == "__main__":
    main(sys.argv[1])
