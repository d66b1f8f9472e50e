"""Makes training windows: places clips on a time line, writes the token sequence Whisper should answer, and the auxiliary targets.

How sequences are labelled is said in README.md, "Labels"; what goes before them as a prompt, in prompts.py.
"""
import pickle, random
from collections import defaultdict
import numpy as np
import torch
import bpe, grammar, prompts
from bpe import EOT, SOT, PREV, NOSPEECH, NOTS, TS, TRANSCRIBE, TRANSLATE, LANG

SR = 16000
MEL = torch.from_numpy(np.load(f"{bpe.SRC}/assets/mel_filters.npz")["mel_80"])
HANN = torch.hann_window(400)


def log_mel(x):
    """x [B, n] float32 -> [B, 80, n/160]; identical to openai/whisper audio.py (max taken per window)."""
    s = torch.stft(x, 400, 160, window=HANN.to(x.device), return_complex=True)[..., :-1]
    m = MEL.to(x.device) @ (s.real ** 2 + s.imag ** 2)
    l = m.clamp(min=1e-10).log10()
    l = torch.maximum(l, l.amax((1, 2), keepdim=True) - 8.0)
    return (l + 4.0) / 4.0


class Pool:
    def __init__(self, names):
        self.clips, self.audio = [], []
        for k, n in enumerate(names):
            a = np.memmap(f"pool/{n}.i16", dtype=np.int16, mode="r")
            for c in pickle.load(open(f"pool/{n}.pkl", "rb")):
                c["shard"] = k
                self.clips.append(c)
            self.audio.append(a)
        self.by = defaultdict(list)
        for i, c in enumerate(self.clips):
            self.by[c["lang"]].append(i)
            self.by[c["lang"], c["voice"]].append(i)
        self.voices = {l: [k[1] for k in self.by if isinstance(k, tuple) and k[0] == l and len(self.by[k]) >= 8] for l in grammar.LANGS}

    def wav(self, c):
        return self.audio[c["shard"]][c["off"]: c["off"] + c["n"]].astype(np.float32) / 32768


class Vocab:
    """Compact ids for the tokens that occur; everything else is `unk`. Timestamps follow the used tokens."""

    def __init__(self, ids=None):
        if ids is None:
            r, used = random.Random(0), set()
            for _ in range(40000):
                for t in grammar.sample(r)[1]:
                    used.update(bpe.encode(" " + t))
                    for w in t.split(" "):
                        used.update(bpe.encode(" " + w))
            ids = sorted(used) + [EOT, SOT] + [LANG[l] for l in grammar.LANGS] + [TRANSLATE, TRANSCRIBE, PREV, NOSPEECH, NOTS]
        self.ids = ids
        self.n = len(ids)  # compact id n = unk, then 1501 timestamps
        self.unk = self.n
        self.ts = self.n + 1
        self.map = {t: i for i, t in enumerate(ids)}
        self.punct = {self.map[t] for t in ids if t < EOT and not bpe.decode([t]).strip(" .,?¿'")}
        self.size = self.n + 1 + 1501

    def to(self, t):
        return self.ts + t - TS if t >= TS else self.map.get(t, self.unk)

    def back(self, i):
        return TS + i - self.ts if i >= self.ts else self.ids[i]


class Phones:
    def __init__(self, names=None):
        self.names = names or []
        self.map = {p: i for i, p in enumerate(self.names)}

    @staticmethod
    def norm(p):
        return "" if p.startswith("_") or not p else p

    @classmethod
    def build(cls, clips):
        n = defaultdict(int)
        for c in clips:
            for _, p in c["phones"] or ():
                n[cls.norm(p)] += 1
        n.pop("", None)
        return cls([""] + sorted(p for p in n if n[p] >= 20))


class Noise:
    """Four minutes each of white, pink and brown noise, made once: a stretch of it costs a hundredth of making it anew."""

    def __init__(self, n=1 << 22):
        g, spectrum = np.random.RandomState(1), np.arange(1, n // 2 + 2, dtype=np.float32)
        self.bank = []
        for power in (0.0, -0.5, -1.0):
            y = np.fft.irfft(np.fft.rfft(g.randn(n)) * spectrum ** power, n)
            self.bank.append((y / y.std()).astype(np.float32))

    def __call__(self, r, n):
        y = self.bank[r.choice((0, 0, 1, 2))]
        a = r.randrange(len(y) - n)
        y = y[a: a + n]
        return y / (y.std() + 1e-9)


noise = None


SHORT = 0.3  # share of windows with one to three utterances alone, where a phase says no other


def compose(pool, r, L, clean=False, lang=None, allow_cut=True, p_short=SHORT):
    """p_short: how often one to three utterances are all that is said.

    -> audio [L*SR], lang or None, utterances [(clip, start, end)] (times relative to the window)"""
    global noise
    noise = noise or Noise()
    n = int(L * SR)
    x = np.zeros(n, np.float32)
    if lang is None and r.random() < 0.06:
        k = r.random()
        if k < 0.3:
            return x, None, []
        if k < 0.9:
            m = n if r.random() < 0.6 else int(n * r.uniform(0.1, 1))
            x[:m] = noise(r, m) * 10 ** r.uniform(-4, -0.7)
        else:
            t = np.arange(n) / SR
            for h in range(1, r.randint(2, 6)):
                x += np.sin(2 * np.pi * t * h * r.choice([50, 60, 100, 440, 1000])) * r.uniform(0, 0.1)
            x = x.astype(np.float32)
        return x, None, []
    lang = lang or r.choice(grammar.LANGS)
    ids = pool.by[lang]
    if r.random() < 0.6 and pool.voices[lang]:
        ids = pool.by[lang, r.choice(pool.voices[lang])]
    short = r.random() < p_short
    nmax = r.randint(1, 3) if short else 99
    distinct = r.random() < 0.7
    c = pool.clips[r.choice(ids)]
    k = r.random()
    if allow_cut and not short and k < 0.25:
        t = -r.uniform(0.15, 0.85) * c["n"] / SR
    else:
        k = r.random()
        t = 0.0 if k < 0.3 else r.uniform(0, 0.5) if k < 0.65 else r.uniform(0.5, 1.2) if k < 0.92 else r.uniform(1.2, max(1.3, L / 3))
    utts, seen = [], set()
    gain = 1.0
    stop = L if short or r.random() < 0.7 else r.uniform(0.4, 1) * L
    while True:
        d = c["n"] / SR
        if t + d > L and (not allow_cut or short):
            if utts or t + 0.5 > L:
                break
        y = pool.wav(c) * gain
        a, b = round(t * SR), round(t * SR) + len(y)
        x[max(a, 0): min(b, n)] += y[max(0, -a): len(y) - max(0, b - n)]
        utts.append((c, t, t + d))
        seen.add(c["tpl"])
        k = r.random()
        t += d + (r.uniform(0.15, 0.9) if k < 0.77 else r.uniform(0.9, 2.0) if k < 0.96 else r.uniform(2, 5))
        if t > stop - 0.15 or len(utts) >= nmax:
            break
        for _ in range(20):
            c = pool.clips[r.choice(ids)]
            if not distinct or c["tpl"] not in seen:
                break
        gain = r.uniform(0.6, 1.0) if r.random() < 0.3 else 1.0
    if not clean:
        x *= 10 ** r.uniform(-1.3, 0)
        end = n
        if utts[-1][2] < L and r.random() < 0.6:  # the recording ends: digital silence after it
            end = min(n, int((utts[-1][2] + r.uniform(0, 1.5)) * SR))
        if r.random() < 0.5:
            x[:end] += noise(r, end) * (np.abs(x).max() * 0.2 * 10 ** (-r.uniform(12, 40) / 20))
    return x, lang, utts


def audible(c, a, L):
    """-> the words of a clip starting at `a` of which most can be heard in the window"""
    return [i for i, (s, e) in enumerate(c["spans"]) if min(e + a, L) - max(s + a, 0) >= 0.6 * max(e - s, 1e-3)]


def words_of(c):
    return prompts.clip_text(c, "transcribe").split(" ")


def sequence(r, L, lang, utts, pool, phase, shift=0, prompt_size=0):
    """-> ids, targets (or -1), spans (per target: (t0, t1) seconds or None), in_spans. `shift`: timestamp offset in tokens.

    Of `phase`: p_translate, p_nots (without timestamps)."""
    task = "translate" if (lang and lang != "en" and r.random() < phase["p_translate"]) or r.random() < 0.03 else "transcribe"
    ts = r.random() >= phase["p_nots"]
    tl = lang or r.choice(grammar.LANGS)
    seq, tgt_span = [], []  # content tokens and their audio span

    def add(tok, span):
        seq.append(tok)
        tgt_span.append(span)

    first, cap = True, round(L / 0.02)
    for c, a, b in utts:
        words, vis = words_of(c), audible(c, a, L)
        if not vis:
            continue
        cut0, cut1 = a < -0.02, b > L + 1e-6
        if task == "translate" and cut0:
            continue
        s = 0 if cut0 else round(a / 0.02)
        if first:
            s = min(s, 50)
        e = min(round(b / 0.02), cap)
        s = min(s, cap)
        if ts:
            add(TS + shift + s, (max(a, 0) - 0.08, max(a, 0) + 0.24))
        first = False
        if task == "translate":
            if cut1:
                continue
            for t in bpe.encode(" " + c["texts"][0]):
                add(t, (a, b))
        else:
            for i in vis:
                ws, we = c["spans"][i]
                pad = 0.05 if c["exact"] else 0.4
                for t in bpe.encode(" " + words[i]):
                    add(t, (max(ws + a, 0) - pad, min(we + a, L) + pad))
        if ts and not cut1:
            add(TS + shift + e, (b - 0.24, b + 0.08))
    if not lang and ts:
        add(TS + shift, None)
    add(EOT, None)
    head = [SOT, LANG[tl], bpe.SID[f"<|{task}|>"]] + ([] if ts else [NOTS])
    hl = [LANG[tl] if lang else NOSPEECH, head[2] if lang and task == "transcribe" else -1] + ([] if ts else [NOTS])
    prompt = prompts.make(r, pool, tl, task, ts, utts, min(prompt_size, 447 - len(head) - len(seq))) if prompt_size else []
    ids = prompt + head + seq[:-1]
    tgt = [-1] * len(prompt) + hl + seq
    spans = [None] * (len(prompt) + len(hl)) + tgt_span
    in_spans = [None] * (len(prompt) + len(head)) + tgt_span[:-1]
    assert len(ids) == len(tgt) == len(spans) == len(in_spans) <= 448, (len(ids), len(tgt), len(spans), len(in_spans))
    return ids, tgt, spans, in_spans


def phone_frames(ph, utts, L):
    y = np.zeros(round(L * 50), np.int64)
    for c, a, b in utts:
        if c["phones"] is None:
            y[max(0, int(a * 50)): max(0, int(b * 50) + 1)] = -100
            continue
        p = c["phones"]
        for i, (t, nme) in enumerate(p):
            e = p[i + 1][0] if i + 1 < len(p) else b - a
            i0, i1 = round((t + a) * 50), round((e + a) * 50)
            if i1 > 0 and i1 > i0:
                y[max(0, i0): i1] = ph.map.get(Phones.norm(nme), -100)
    return y


def token_frames(vocab, utts, L):
    """per 20 ms frame: the token being spoken (auxiliary target), -100 outside words"""
    n = round(L * 50)
    y = np.full(n, -100, np.int64)
    for c, a, b in utts:
        if not c["exact"]:
            continue
        if "wtok" not in c:
            c["wtok"] = [[vocab.to(t) for t in bpe.encode(" " + w)] for w in words_of(c)]
        for (s, e), toks in zip(c["spans"], c["wtok"]):
            k = [t for t in toks if t not in vocab.punct] or toks
            for j, t in enumerate(k):
                i0, i1 = round((a + s + (e - s) * j / len(k)) * 50), round((a + s + (e - s) * (j + 1) / len(k)) * 50)
                if i1 > 0 and i1 > i0:
                    y[max(0, i0): i1] = t
    return y


def frames_of(spans, F):
    """[(t0, t1) seconds or None] -> [n, 2] first frame and the one after the last; 0, 0 for None"""
    z = np.array([s or (np.nan, np.nan) for s in spans], np.float64).reshape(-1, 2) * 50
    none = np.isnan(z[:, 0])
    z = np.nan_to_num(z)
    lo = np.clip(z[:, 0].astype(np.int64), 0, F - 1)
    hi = np.minimum(F, np.maximum(lo + 1, z[:, 1].astype(np.int64) + 1))
    return np.stack([np.where(none, 0, lo), np.where(none, 0, hi)], 1)


def batch(pool, vocab, ph, r, B, L, phase, offset=0, prompt_size=0):
    """offset: position (in 20 ms tokens) of the window inside the 30 s frame (short windows only); prompt_size: tokens of a prompt, at most.

    -> audio [B, n], ids [B, T], targets [B, T] (-1: none), spans [target|input, B, T, 2] in frames, phonemes and tokens [B, frames]"""
    xs, rows, phs, toks = [], [], [], []
    for _ in range(B):
        x, lang, utts = compose(pool, r, L, p_short=phase.get("p_short", SHORT))
        xs.append(x)
        rows.append(sequence(r, L, lang, utts, pool, phase, offset, prompt_size))
        phs.append(phone_frames(ph, utts, L))
        toks.append(token_frames(vocab, utts, L))
    T = max(len(q[0]) for q in rows)
    F = round(L * 50)
    ids, tgt, span = np.full((B, T), vocab.map[EOT]), np.full((B, T), -1), np.zeros((2, B, T, 2), np.int64)
    for b, (i, t, s, si) in enumerate(rows):
        ids[b, : len(i)] = [vocab.to(k) for k in i]
        tgt[b, : len(t)] = [vocab.to(k) if k >= 0 else -1 for k in t]
        span[0, b, : len(s)], span[1, b, : len(si)] = frames_of(s, F), frames_of(si, F)
    return tuple(torch.from_numpy(np.stack(a) if isinstance(a, list) else a) for a in (xs, ids, tgt, span, phs, toks))
