"""Writes test/golden/deflate/lengths.json: lengths of zlib.compress (level 6), which openai/whisper's compression ratio is made of.

    python3 scripts/make_deflate_golden.py

Needs Python 3 with zlib 1.2.x or 1.3.x itself (not zlib-ng, nor Chromium's fork, which compress otherwise).
"""
import json
import pathlib
import zlib

GOLDEN = pathlib.Path(__file__).resolve().parent.parent / "test" / "golden"
SPOKEN = [json.loads((GOLDEN / "nano" / f"{name}.json").read_text())["first_window_text_only"]["text"] for name in ("de-30s", "fr-30s", "es-short")]
TEXTS = [
    "", "a", "ab", "aaa", "abcabc", "Thank you. " * 5, "Thank you. " * 40, "the the the the", "ä" * 20, "ありがとうございます" * 3, "你好，今天天气很好。", "привет, как дела? " * 4,
    "p mrsog xecwot kngo teo i ubuwo eag gvkfd", "w xaz ksimsybgy ocfptg igpagncqr wmbgakui bovih qlartzqn fcp n gilokul xfu mm ebmykkng pt knwezjz",
    "".join(map(chr, range(32, 127))), "".join(chr(0x4E00 + i * 37) for i in range(60)), "a" * 258, "a" * 259, "a" * 1000, *SPOKEN,
]
RULE = "s = 1; for each of n characters: s = s * 48271 % 2147483647, character alphabet[s % alphabet.length]"
GENERATED = [(20000, "etaoin shrdlu"), (70000, "etaoin shrdlu"), (200000, "ab "), (100000, "абвгд ежз"), (40000, "".join(map(chr, range(33, 127))))]


def pseudo_random(n, alphabet):
    s, out = 1, []
    for _ in range(n):
        s = s * 48271 % 2147483647
        out.append(alphabet[s % len(alphabet)])
    return "".join(out)


golden = {
    "about": "Lengths of zlib.compress(text.encode()), Python 3, zlib 1.2.13",
    "texts": [[text, len(zlib.compress(text.encode()))] for text in TEXTS],
    "pseudoRandom": [[n, alphabet, len(zlib.compress(pseudo_random(n, alphabet).encode()))] for n, alphabet in GENERATED],
    "pseudoRandomRule": RULE,
}
(GOLDEN / "deflate" / "lengths.json").write_text(json.dumps(golden, ensure_ascii=False, indent=1))
