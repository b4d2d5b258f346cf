"""Random changes of valid files: of their bytes, and of what is below checksums and compression."""

from __future__ import annotations

import gzip
import io
import json
import struct
import zipfile
import zlib
from collections.abc import Callable
from random import Random
from typing import Any

from ctrbench.identity import HASH_LENGTH
from ctrbench.sealed import CHECKSUM, COMMENT, MARK, _hash, sealed

Files = dict[str, bytes]  # relative path -> content
Change = Callable[[bytes, bytes, Random], bytes]  # content, content of another file -> content

MOST_BYTES = 1 << 20  # of a changed file
NUMBERS = (0, 1, 2, 7, 8, 127, 128, 255, 256, 32767, 65535, 65536, 1 << 20, 1 << 24, 1 << 31)
NUMBERS += ((1 << 31) - 1, (1 << 32) - 1, 1 << 32, 1 << 40, (1 << 62) + 1, (1 << 63) - 1, -1, -2)
TEXTS = (
    *("\x00", "\x1b[2J", "\x1b]0;title\x07", "\u202e", "\u2066", "\x9b31m", "\r", "\n", "\ufeff"),
    *("../outside", "/outside", "a" * 5000, "\ud800", "NaN", "1e999", "-0", "9" * 5000, "%s", ""),
    *("!!python/object/apply:os.system [id]", "&a [*a]", "*a", "{" * 200, "[" * 3000, "'", '"'),
    *("__import__('os').system('id')", "b" * 70_000, "<<: *a", "2024-13-45", "0x", "1_0", "~"),
)
VALUES: tuple[Any, ...] = (
    *(None, True, 0, -1, 1.5, 1 << 31, 1 << 63, 10**400, 1e308, float("nan"), float("inf"), ""),
    *([], {}, [[]], [None], {"a": {}}, "\x1b[2J", "\u202e", "\x00", "../outside", "a" * 5000),
    *(["a"] * 300, "int64", "O", "float32", "<f4", "1", [1 << 40], [-1], [1 << 20, 1 << 20]),
)


def mutated(files: Files, others: list[Files], random: Random) -> Files:
    """Return files of which one is changed.

    Args:
        files: The files of one input.
        others: The files of other inputs, for splices.
        random: The source of randomness.
    """
    name = random.choice(sorted(files))
    other = random.choice([one for file in others for one in file.values()] or [b""])
    return files | {name: changed(files[name], other, random)[:MOST_BYTES]}


def changed(data: bytes, other: bytes, random: Random) -> bytes:
    """Return changed content: below a checksum or compression, if there is any, or of its bytes.

    Args:
        data: The content.
        other: Content for splices.
        random: The source of randomness.
    """
    for applies, change in LAYERS:
        if random.random() < 0.75 and applies(data):
            try:
                return change(data, other, random)
            except (ValueError, KeyError, struct.error, zipfile.BadZipFile, zlib.error, OSError):
                continue  # the content only looks like one of this layer
            except (RecursionError, NotImplementedError, RuntimeError, EOFError):
                continue
    for _ in range(random.choice((1, 1, 1, 2, 4))):
        data = random.choice(RAW)(data, other, random)
    return data


def _flip(data: bytes, other: bytes, random: Random) -> bytes:
    if not data:
        return b"\x00"
    found = bytearray(data)
    for _ in range(random.choice((1, 1, 2, 8))):
        found[random.randrange(len(found))] ^= 1 << random.randrange(8)
    return bytes(found)


def _number(data: bytes, other: bytes, random: Random) -> bytes:
    """Overwrite an integer of 1 to 8 bytes."""
    size = random.choice((1, 2, 4, 8))
    at = random.randrange(max(1, len(data) - size + 1))
    value = random.choice(NUMBERS) % (1 << 8 * size)
    return data[:at] + value.to_bytes(size, random.choice(("little", "big"))) + data[at + size :]


def _digits(data: bytes, other: bytes, random: Random) -> bytes:
    """Replace a number that is written as text."""
    places = [at for at, byte in enumerate(data[:4096]) if 48 <= byte <= 57]
    if not places:
        return _number(data, other, random)
    start = end = random.choice(places)
    while end < len(data) and 48 <= data[end] <= 57:
        end += 1
    return data[:start] + str(random.choice(NUMBERS)).encode() + data[end:]


def _cut(data: bytes, other: bytes, random: Random) -> bytes:
    return data[: random.randrange(len(data) + 1)]


def _remove(data: bytes, other: bytes, random: Random) -> bytes:
    at = random.randrange(len(data) + 1)
    return data[:at] + data[at + random.choice((1, 2, 4, 8, 64)) :]


def _repeat(data: bytes, other: bytes, random: Random) -> bytes:
    at = random.randrange(len(data) + 1)
    part = data[at : at + random.choice((1, 4, 16, 256))]
    return data[:at] + part * random.choice((2, 3, 300)) + data[at:]


def _splice(data: bytes, other: bytes, random: Random) -> bytes:
    at, there = random.randrange(len(data) + 1), random.randrange(len(other) + 1)
    part = other[there : there + random.choice((4, 32, 512, 1 << 16))]
    return data[:at] + part + data[at + random.choice((0, len(part))) :]


def _text(data: bytes, other: bytes, random: Random) -> bytes:
    at = random.randrange(len(data) + 1)
    text = random.choice(TEXTS).encode("utf-8", "surrogatepass")
    return data[:at] + text + data[at + random.choice((0, len(text))) :]


RAW: tuple[Change, ...] = (_flip, _flip, _number, _number, _digits, _cut, _remove, _repeat)
RAW += (_splice, _text, _text)


def _json(data: bytes, other: bytes, random: Random) -> bytes:
    """Change values of a JSON text, and renew its checksum."""
    value = json.loads(data)
    for _ in range(random.choice((1, 1, 2))):
        value = changed_value(value, random)
    if isinstance(value, dict) and value.pop(CHECKSUM, None):
        value = sealed(value)
    return json.dumps(value).encode()


def changed_value(value: Any, random: Random) -> Any:
    """Return a JSON value of which one part is replaced, removed, renamed or repeated.

    Args:
        value: The value.
        random: The source of randomness.
    """
    if isinstance(value, dict | list) and value and random.random() < 0.85:
        keys = list(value) if isinstance(value, dict) else range(len(value))
        key = random.choice(keys)
        found = dict(value) if isinstance(value, dict) else list(value)
        kind = random.random()
        if kind < 0.1:
            del found[key]
        elif kind < 0.2 and isinstance(found, dict):
            found[random.choice(TEXTS)] = found.pop(key)
        elif kind < 0.25 and isinstance(found, list):
            found += [found[key]] * random.choice((1, 100))
        else:
            found[key] = changed_value(found[key], random)
        return found
    if isinstance(value, str) and random.random() < 0.3:
        at = random.randrange(len(value) + 1)
        return value[:at] + random.choice(TEXTS) + value[at:]
    if random.random() < 0.03:
        return _nested(random.choice((30, 500, 900)))
    return random.choice(VALUES)


def _nested(depth: int) -> list:
    found: list = []
    for _ in range(depth):
        found = [found]
    return found


def _json_lines(data: bytes, other: bytes, random: Random) -> bytes:
    lines = data.split(b"\n")
    at = random.randrange(len(lines))
    lines[at] = _json(lines[at], other, random)
    return b"\n".join(lines)


def _gzip(data: bytes, other: bytes, random: Random) -> bytes:
    return gzip.compress(changed(gzip.decompress(data), other, random), mtime=0)


def _zip(data: bytes, other: bytes, random: Random) -> bytes:
    """Change, rename, remove or repeat a member of an archive, or its compression."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = [(one.filename, archive.read(one)) for one in archive.infolist()]
    at = random.randrange(len(members))
    name, content = members[at]
    kind = random.random()
    if kind < 0.7:
        members[at] = name, changed(content, other, random)[:MOST_BYTES]
    elif kind < 0.8:
        text = random.choice(TEXTS).encode("utf-8", "replace").decode()
        members[at] = random.choice((text, f"../{name}", f"/{name}", text + name)), content
    elif kind < 0.9:
        members.append((name, random.choice(members)[1]))
    else:
        del members[at]
    packed = io.BytesIO()
    stored = random.choice((zipfile.ZIP_STORED, zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
    with zipfile.ZipFile(packed, "w", stored) as archive:
        for name, content in members:
            archive.writestr(zipfile.ZipInfo(name.replace("\x00", "")), content, stored)
    return _renewed(data, packed.getvalue())


def _renewed(data: bytes, packed: bytes) -> bytes:
    """Return an archive with the comment of the original and a new checksum."""
    comment = data[-COMMENT:]
    if not comment.startswith(MARK):
        return packed
    content = io.BytesIO(packed)
    with zipfile.ZipFile(content, "a") as archive:
        archive.comment = bytes(COMMENT)
    body = content.getvalue()[:-COMMENT]
    return body + comment[:-HASH_LENGTH] + _hash(body)


def _safetensors(data: bytes, other: bytes, random: Random) -> bytes:
    """Change the header, which is JSON, and renew its length."""
    length = struct.unpack("<Q", data[:8])[0]
    header = _json(data[8 : 8 + length], other, random)
    return struct.pack("<Q", len(header)) + header + data[8 + length :]


def _png(data: bytes, other: bytes, random: Random) -> bytes:
    """Change a chunk, and renew its length and its checksum."""
    chunks, at = [], 8
    while at < len(data):
        size = struct.unpack(">I", data[at : at + 4])[0]
        chunks.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + size]))
        at += 12 + size
    at = random.randrange(len(chunks))
    kind, content = chunks[at]
    if kind == b"IDAT" and random.random() < 0.5:
        content = zlib.compress(changed(zlib.decompress(content), other, random))
    else:
        content = changed(content, other, random)
    chunks[at] = kind, content
    if random.random() < 0.2:
        chunks.insert(at, random.choice(chunks))
    parts = [
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    ]
    return data[:8] + b"".join(parts)


def _is_safetensors(data: bytes) -> bool:
    return len(data) > 9 and data[8:9] == b"{" and struct.unpack("<Q", data[:8])[0] < len(data)


LAYERS: tuple[tuple[Callable[[bytes], bool], Change], ...] = (
    (lambda data: data.startswith(b"PK"), _zip),
    (lambda data: data.startswith(b"\x1f\x8b"), _gzip),
    (lambda data: data.startswith(b"\x89PNG"), _png),
    (_is_safetensors, _safetensors),
    (lambda data: data[:1] in (b"{", b"["), _json),
    (lambda data: data[:1] == b"{", _json_lines),
)
