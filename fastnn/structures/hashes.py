# SPDX-License-Identifier: Apache-2.0
"""Hashes of strings, the same as TensorFlow's: buckets of features stay what they are.

`fast` is FarmHash's Fingerprint64 (github.com/google/farmhash, farmhashna), `strong`
SipHash-2-4 (Aumasson, Bernstein 2012), the plain one MurmurHash64A (Appleby).
"""

from __future__ import annotations

from typing import Any

from fastnn.structures._each import each

_MASK = (1 << 64) - 1
_K0, _K1, _K2 = 0xC3A5C85C97CB3127, 0xB492B66FBE98F273, 0x9AE16A3B2F90404F


def _word(s: bytes, at: int, size: int = 8) -> int:
    return int.from_bytes(s[at : at + size], "little")


def _rotate(x: int, by: int) -> int:
    """To the right."""
    return (x >> by | x << (64 - by)) & _MASK


def _rotate_left(x: int, by: int) -> int:
    return _rotate(x, 64 - by)


def _mix(x: int) -> int:
    return x ^ x >> 47


def _pair(u: int, v: int, m: int) -> int:
    a = _mix((u ^ v) * m & _MASK)
    return _mix((v ^ a) * m & _MASK) * m & _MASK


def _short(s: bytes) -> int:
    n = len(s)
    if n >= 8:
        m = _K2 + 2 * n
        a, b = (_word(s, 0) + _K2) & _MASK, _word(s, n - 8)
        c = (_rotate(b, 37) * m + a) & _MASK
        return _pair(c, (_rotate(a, 25) + b) * m & _MASK, m)
    if n >= 4:
        return _pair(n + (_word(s, 0, 4) << 3), _word(s, n - 4, 4), _K2 + 2 * n)
    if n:
        y, z = s[0] + (s[n >> 1] << 8), n + (s[n - 1] << 2)
        return _mix((y * _K2 ^ z * _K0) & _MASK) * _K2 & _MASK
    return _K2


def _middle(s: bytes) -> int:
    """17 to 32 bytes."""
    n = len(s)
    m = _K2 + 2 * n
    a, b = _word(s, 0) * _K1 & _MASK, _word(s, 8)
    c, d = _word(s, n - 8) * m & _MASK, _word(s, n - 16) * _K2 & _MASK
    u = (_rotate((a + b) & _MASK, 43) + _rotate(c, 30) + d) & _MASK
    return _pair(u, (a + _rotate((b + _K2) & _MASK, 18) + c) & _MASK, m)


def _longer(s: bytes) -> int:
    """33 to 64 bytes."""
    n = len(s)
    m = _K2 + 2 * n
    a, b = _word(s, 0) * _K2 & _MASK, _word(s, 8)
    c, d = _word(s, n - 8) * m & _MASK, _word(s, n - 16) * _K2 & _MASK
    y = (_rotate((a + b) & _MASK, 43) + _rotate(c, 30) + d) & _MASK
    z = _pair(y, (a + _rotate((b + _K2) & _MASK, 18) + c) & _MASK, m)
    e, f = _word(s, 16) * m & _MASK, _word(s, 24)
    g, h = (y + _word(s, n - 32)) * m & _MASK, (z + _word(s, n - 24)) * m & _MASK
    u = (_rotate((e + f) & _MASK, 43) + _rotate(g, 30) + h) & _MASK
    return _pair(u, (e + _rotate((f + a) & _MASK, 18) + g) & _MASK, m)


def _weak(s: bytes, at: int, a: int, b: int) -> tuple[int, int]:
    w, x, y, z = (_word(s, at + 8 * i) for i in range(4))
    a = (a + w) & _MASK
    b = _rotate((b + a + z) & _MASK, 21)
    c = a
    a = (a + x + y) & _MASK
    return (a + z) & _MASK, (b + _rotate(a, 44) + c) & _MASK


def fingerprint64(s: bytes) -> int:
    """FarmHash's Fingerprint64."""
    n = len(s)
    if n <= 64:
        return _short(s) if n <= 16 else _middle(s) if n <= 32 else _longer(s)
    seed = 81
    x, y = seed, (seed * _K1 + 113) & _MASK
    z = _mix((y * _K2 + 113) & _MASK) * _K2 & _MASK
    v, w = (0, 0), (0, 0)
    x = (x * _K2 + _word(s, 0)) & _MASK
    end, last = (n - 1) // 64 * 64, n - 64
    for at in range(0, end, 64):
        x = _rotate((x + y + v[0] + _word(s, at + 8)) & _MASK, 37) * _K1 & _MASK
        y = _rotate((y + v[1] + _word(s, at + 48)) & _MASK, 42) * _K1 & _MASK
        x ^= w[1]
        y = (y + v[0] + _word(s, at + 40)) & _MASK
        z = _rotate((z + w[0]) & _MASK, 33) * _K1 & _MASK
        v = _weak(s, at, v[1] * _K1 & _MASK, (x + w[0]) & _MASK)
        w = _weak(s, at + 32, (z + w[1]) & _MASK, (y + _word(s, at + 16)) & _MASK)
        z, x = x, z
    m = _K1 + ((z & 0xFF) << 1)
    w = ((w[0] + ((n - 1) & 63)) & _MASK, w[1])
    v = ((v[0] + w[0]) & _MASK, v[1])
    w = ((w[0] + v[0]) & _MASK, w[1])
    x = _rotate((x + y + v[0] + _word(s, last + 8)) & _MASK, 37) * m & _MASK
    y = _rotate((y + v[1] + _word(s, last + 48)) & _MASK, 42) * m & _MASK
    x ^= w[1] * 9 & _MASK
    y = (y + v[0] * 9 + _word(s, last + 40)) & _MASK
    z = _rotate((z + w[0]) & _MASK, 33) * m & _MASK
    v = _weak(s, last, v[1] * m & _MASK, (x + w[0]) & _MASK)
    w = _weak(s, last + 32, (z + w[1]) & _MASK, (y + _word(s, last + 16)) & _MASK)
    z, x = x, z
    left = (_pair(v[0], w[0], m) + _mix(y) * _K0 + z) & _MASK
    return _pair(left, (_pair(v[1], w[1], m) + x) & _MASK, m)


def siphash(s: bytes, key: tuple[int, int]) -> int:
    """SipHash-2-4 with a key of two 64-bit numbers."""
    a, b = key[0] ^ 0x736F6D6570736575, key[1] ^ 0x646F72616E646F6D
    c, d = key[0] ^ 0x6C7967656E657261, key[1] ^ 0x7465646279746573

    def rounds(n: int) -> None:
        nonlocal a, b, c, d
        for _ in range(n):
            a, c = (a + b) & _MASK, (c + d) & _MASK
            b, d = _rotate_left(b, 13) ^ a, _rotate_left(d, 16) ^ c
            a = _rotate_left(a, 32)
            c, a = (c + b) & _MASK, (a + d) & _MASK
            b, d = _rotate_left(b, 17) ^ c, _rotate_left(d, 21) ^ a
            c = _rotate_left(c, 32)

    padded = s + bytes(7 - len(s) % 8) + bytes([len(s) & 0xFF])
    for at in range(0, len(padded), 8):
        word = _word(padded, at)
        d ^= word
        rounds(2)
        a ^= word
    c ^= 0xFF
    rounds(4)
    return a ^ b ^ c ^ d


def murmur64(s: bytes, seed: int = 0xDECAFCAFFE) -> int:
    """MurmurHash64A."""
    m, n = 0xC6A4A7935BD1E995, len(s)
    h = seed ^ (n * m & _MASK)
    for at in range(0, n - n % 8, 8):
        k = _word(s, at) * m & _MASK
        h = (h ^ (k ^ k >> 47) * m & _MASK) * m & _MASK
    if n % 8:
        h = (h ^ _word(s, n - n % 8)) * m & _MASK
    h = (h ^ h >> 47) * m & _MASK
    return h ^ h >> 47


def _buckets(name: str, num_buckets: int) -> int:
    if num_buckets < 1:
        raise ValueError(
            f"[{name}] num_buckets must be positive, received {num_buckets}"
        )
    return num_buckets


def to_hash_bucket(input: Any, num_buckets: int, name: str | None = None) -> Any:
    """murmur64 of every string, modulo the number of buckets; int64."""
    n = _buckets("to_hash_bucket", num_buckets)
    return each(lambda s: murmur64(s) % n, input, "int64")


def to_hash_bucket_fast(input: Any, num_buckets: int, name: str | None = None) -> Any:
    """fingerprint64 of every string, modulo the number of buckets; int64."""
    n = _buckets("to_hash_bucket_fast", num_buckets)
    return each(lambda s: fingerprint64(s) % n, input, "int64")


def to_hash_bucket_strong(
    input: Any, num_buckets: int, key: Any, name: str | None = None
) -> Any:
    """siphash of every string, modulo the number of buckets; the key: two integers."""
    n = _buckets("to_hash_bucket_strong", num_buckets)
    if len(key) != 2:
        raise ValueError(
            f"[to_hash_bucket_strong] key has two integers, received {key}"
        )
    first, second = (int(k) & _MASK for k in key)
    return each(lambda s: siphash(s, (first, second)) % n, input, "int64")
