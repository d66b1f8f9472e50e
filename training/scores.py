"""What checkpoints are judged on, and how: windows, their texts, word error rates, errors of segment times."""
import random, re
import bpe, data, grammar
from bpe import TS


def norm(s):
    return re.sub(r"[.,?¿]", "", s.lower()).split()


def edits(a, b):
    d = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        p, d[0] = d[0], i
        for j, y in enumerate(b, 1):
            p, d[j] = d[j], min(d[j] + 1, d[j - 1] + 1, p + (x != y))
    return d[-1]


def rate(refs, hyps):
    return sum(edits(norm(f), norm(h)) for f, h in zip(refs, hyps)) / sum(len(norm(f)) for f in refs)


def segments(toks):
    """-> [(begin, end, text)] in seconds; None for a time that was not said"""
    out, cur, start = [], [], None
    for t in toks:
        if t >= TS:
            if cur:
                out.append((start, (t - TS) * 0.02, bpe.decode(cur)))
                cur, start = [], None
            else:
                start = (t - TS) * 0.02
        else:
            cur.append(t)
    if cur:
        out.append((start, None, bpe.decode(cur)))
    return out


def windows(pool, L, n, seed, lang):
    r = random.Random(seed)
    return [data.compose(pool, r, L, lang=lang, allow_cut=False) for _ in range(n)]


def without_speech(pool, L, n, seed=3):
    """-> samples of n windows"""
    r, xs = random.Random(seed), []
    while len(xs) < n:
        x, lang, _ = data.compose(pool, r, L)
        if lang is None:
            xs.append(x)
    return xs


def time_errors(tokens, utts):
    """-> errors of the segments' begins and ends, where they match the utterances in number"""
    s = segments(tokens)
    if len(s) != len(utts):
        return []
    pairs = [(a, min(ra, 1.0) if k == 0 else ra) for k, ((a, _, _), (_, ra, _)) in enumerate(zip(s, utts))] + [(b, rb) for (_, b, _), (_, _, rb) in zip(s, utts)]
    return [abs(x - y) for x, y in pairs if x is not None]


def texts(utts, lang):
    return " ".join(c["texts"][grammar.LANGS.index(lang)] for c, _, _ in utts)
