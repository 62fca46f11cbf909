#!/usr/bin/env python3
"""Fills fuzz/corpus with named seeds cut out of proto-fixtures (run once after recording)."""
import glob, os, struct
here = os.path.dirname(os.path.abspath(__file__))
fixtures = os.path.join(here, "..", "proto-fixtures", "mysql")

def put(target, name, data):
    folder = os.path.join(here, "corpus", target)
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, name), "wb") as f:
        f.write(data)

for wire in sorted(glob.glob(fixtures + "/*/*/wire.bin")):
    version, case = wire.split(os.sep)[-3:-1]
    data = open(wire, "rb").read()
    if case == "session":
        put("packets", f"{version}-{case}", data)
        at = 0
        while at + 4 <= len(data):
            n = int.from_bytes(data[at:at + 3], "little")
            if at < 700:
                put("packets", f"{version}-{case}-{at}", data[at:at + 4 + n])
            at += 4 + n
        continue
    if case != "json":
        put("binlog_events", f"{version}-{case}", data)
        continue
    # JSON cells, by the row event that holds them: (int id, json with 4 length bytes, longtext).
    at = 4
    while at + 19 <= len(data):
        kind, length = data[at + 4], struct.unpack("<I", data[at + 9:at + 13])[0]
        body = data[at + 19:at + length - 4]
        at += length
        if kind != 30 or version != "8.0.15" or len(body) > 20000:
            continue
        p = 8 + struct.unpack("<H", body[8:10])[0] + 1 + 1
        while p < len(body):
            nulls = body[p]; p += 1
            row = struct.unpack("<I", body[p:p + 4])[0]; p += 4
            for column in (1, 2):
                if nulls >> column & 1:
                    continue
                n = struct.unpack("<I", body[p:p + 4])[0]; p += 4
                put("jsonb", f"{'doc' if column == 1 else 'text'}-{length}-{row}", body[p:p + n]); p += n

a = bytes.fromhex("3e11fa4771ca11e19e33c80aa9429562")
q = lambda n: struct.pack("<Q", n)
put("gtid", "empty-set", q(0))
put("gtid", "two-intervals", q(1) + a + q(2) + q(1) + q(6) + q(7) + q(8))
put("gtid", "tagged", q(1 << 56 | 2 << 8 | 1) + a + b"\0" + q(1) + q(1) + q(6) + a + b"\x06tag" + q(1) + q(1) + q(2))
put("gtid", "text", b"3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5:7,\n4e11fa47-71ca-11e1-9e33-c80aa9429562:tag:1-3")
put("gtid", "file", b"binlog.000012")
put("gtid", "one", b"3e11fa47-71ca-11e1-9e33-c80aa9429562:tag:9")
