# SPDX-License-Identifier: Apache-2.0
"""The built libraries run on every CPU they claim: wide instructions stay at home.

A template instantiated in two kernel families with different `-m` flags is one weak
symbol; the linker may keep the AVX-512 copy for every CPU. So each instruction that
an older CPU lacks must stand in a function of its instruction set's namespace.
"""

from __future__ import annotations

import platform
import re
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from fastnn import _core

pytestmark = [
    pytest.mark.skipif(
        platform.machine() not in ("x86_64", "AMD64"), reason="one ISA on this machine"
    ),
    pytest.mark.skipif(shutil.which("objdump") is None, reason="needs objdump"),
]

PACKAGE = Path(_core.__file__).parent
LIBRARIES = sorted(PACKAGE.rglob("*.so"))
LIBFASTNN = PACKAGE / "libfastnn.so"

FUNCTION = re.compile(r"^[0-9a-f]+ <(.*)>:$")
INSTRUCTION = re.compile(
    r"^\s*[0-9a-f]+:\t(?:(?:rep[nez]*|lock|bnd|notrack) )*(\S+)(.*)"
)
# Mangled names carry the length: fastnn::avx512::f is _ZN6fastnn6avx5121fE...
NAMESPACE = re.compile(r"6fastnn(?:10(avx512bf16)|6(avx512)|4(avx2)|5(sse42))")
EVEX = re.compile(r"%zmm|%[xy]mm(?:1[6-9]|2\d|3[01])\b|%k[0-7]\b")
BMI = re.compile(
    r"(?:sh[lr]x|sarx|rorx|mulx|pdep|pext|andn|bextr|bls[ir]|blsmsk|bzhi)[lq]?"
)
BF16 = re.compile(r"vdpbf16ps|vcvtne2?ps2bf16.*")
LEVELS = {None: 0, "sse42": 0, "avx2": 1, "avx512": 2, "avx512bf16": 3}


def level(mnemonic: str, operands: str) -> int:
    """What an instruction needs: 0 x86-64-v2, 1 AVX2 and its companions, 2 AVX-512,
    3 AVX512_BF16."""
    if BF16.fullmatch(mnemonic):
        return 3
    if EVEX.search(operands):
        return 2
    if mnemonic.startswith("v") and mnemonic not in ("verr", "verw"):
        return 1
    return 1 if BMI.fullmatch(mnemonic) or "%ymm" in operands else 0


def misplaced(disassembly) -> tuple[Counter, Counter]:
    """Functions holding instructions above their namespace's level, and levels seen."""
    wrong: Counter = Counter()
    seen: Counter = Counter()
    function, allowed = "", 0
    for line in disassembly:
        if match := FUNCTION.match(line):
            function = match[1]
            home = NAMESPACE.search(function)
            allowed = LEVELS[next(filter(None, home.groups()))] if home else 0
        elif match := INSTRUCTION.match(line):
            needs = level(match[1], match[2])
            seen[needs] += 1
            if needs > allowed:
                wrong[function] += 1
    return wrong, seen


def disassemble(library: Path):
    command = ["objdump", "-d", "--no-show-raw-insn", str(library)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        yield from process.stdout
    assert process.returncode == 0


@pytest.mark.parametrize("library", LIBRARIES, ids=lambda path: path.name)
def test_wide_instructions_stay_in_their_namespace(library):
    wrong, seen = misplaced(disassemble(library))
    assert not wrong, wrong.most_common(10)
    # Otherwise nothing was read, or the symbols that say where code belongs are gone.
    assert seen[0] > 0
    if library == LIBFASTNN:
        assert seen[1] > 0 and seen[2] > 0
        # The products of bfloat16, which few test machines can run.
        assert seen[3] > 0


@pytest.mark.parametrize(
    ("function", "instruction", "caught"),
    [
        ("_ZN6fastnn6avx5125sweepEv", "vaddps %zmm1,%zmm2,%zmm3", False),
        ("_ZNSt6vectorIfE6resizeEv", "vaddps %zmm1,%zmm2,%zmm3", True),
        ("_ZN6fastnn4avx25sweepEv", "vaddps %zmm1,%zmm2,%zmm3", True),
        ("_ZN6fastnn4avx25sweepEv", "vaddps %ymm17,%ymm2,%ymm3", True),
        ("_ZN6fastnn4avx25sweepEv", "vaddps %ymm1,%ymm2,%ymm3", False),
        ("_ZN6fastnn5sse425sweepEv", "vaddss %xmm1,%xmm2,%xmm3", True),
        ("_ZN6fastnn5sse425sweepEv", "shlx   %rax,%rbx,%rcx", True),
        ("_ZN6fastnn5sse425sweepEv", "andnps %xmm1,%xmm2", False),
        ("_ZN6fastnn6avx5123dotEv", "vdpbf16ps %zmm1,%zmm2,%zmm3", True),
        ("_ZN6fastnn10avx512bf163dotEv", "vdpbf16ps %zmm1,%zmm2,%zmm3", False),
        ("_ZN6fastnn10avx512bf163dotEv", "vaddps %zmm1,%zmm2,%zmm3", False),
        ("_GLOBAL__sub_I_table.cpp", "vzeroupper", True),
    ],
)
def test_the_rule_catches(function, instruction, caught):
    lines = [f"0000000000001000 <{function}>:", f"    1000:\t{instruction}"]
    assert bool(misplaced(lines)[0]) is caught


@pytest.mark.parametrize("library", LIBRARIES, ids=lambda path: path.name)
def test_needs_no_openmp_and_no_fast_math(library):
    headers = subprocess.check_output(["objdump", "-p", str(library)], text=True)
    needed = re.findall(r"NEEDED\s+(\S+)", headers)
    assert needed
    allowed = r"(lib(stdc\+\+|m|gcc_s|c|pthread|fastnn)|ld-linux[-\w]*)\.so[.\d]*"
    assert [name for name in needed if not re.fullmatch(allowed, name)] == []
    symbols = subprocess.check_output(["objdump", "-t", str(library)], text=True)
    assert "set_fast_math" not in symbols
