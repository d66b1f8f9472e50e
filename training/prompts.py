"""What goes before a window as its prompt, after <|startofprev|>.

Mostly what openai/whisper's transcribe() feeds with condition_on_previous_text: the tokens of the segments before, their
timestamps among them, the last 223 of them. A network that has seen few such prompts copies them, and so loops for ever.
"""
import bpe, grammar
from bpe import PREV, TS

SR = 16000


def clip_text(c, task):
    return c["texts"][0 if task == "translate" else grammar.LANGS.index(c["lang"])]


def segments_before(r, pool, lang, task, ts, count):
    """-> token lists, one a segment, with times as if the windows before had been decoded: a new window begins at the end of
    the last segment that was whole, or 30 s after the last one."""
    segments, t = [], r.uniform(0, 2)
    ids = pool.by[lang]
    while len(segments) < count:
        c = pool.clips[r.choice(ids)]
        d = c["n"] / SR
        if t + d > 30:
            t = r.uniform(0, 1)
        a, b = round(t / 0.02), round((t + d) / 0.02)
        text = bpe.encode(" " + clip_text(c, task))
        segments.append([TS + a, *text, TS + min(b, 1500)] if ts else text)
        t += d + (r.uniform(0.15, 0.9) if r.random() < 0.8 else r.uniform(0.9, 4))
    return segments


def cut_words(r, utts, ts):
    """-> tokens of the words that the window before has heard of an utterance which this window's begin cuts."""
    c, a, _ = utts[0]
    heard = [w for w, (_, e) in zip(clip_text(c, "transcribe").split(" "), c["spans"]) if e + a <= 0.05]
    tokens = bpe.encode(" " + " ".join(heard)) if heard else []
    return [TS + round(30 / 0.02) - min(1500, round(-a / 0.02)), *tokens] if ts and tokens else tokens


def strange(r, lang, task, limit):
    """A prompt that no window before has made: sentences of the grammar, or among them words of another kind."""
    i = 0 if task == "translate" else grammar.LANGS.index(lang)
    tokens = []
    while len(tokens) < limit:
        tokens += bpe.encode(" " + grammar.sample(r, False)[1][i])
    if r.random() < 0.3:
        tokens = [r.randrange(50000) if r.random() < 0.3 else t for t in tokens]
    return tokens[-limit:]


def make(r, pool, lang, task, ts, utts, limit):
    """-> [<|startofprev|>, ...] and at most `limit` tokens. ts: whether this window has timestamps; the windows before have had
    what it has, but for one in five."""
    if r.random() < 0.2:
        return [PREV, *strange(r, lang, task, limit)]
    with_ts = ts if r.random() < 0.8 else not ts
    segments = segments_before(r, pool, lang, task, with_ts, 1 + limit // (10 if with_ts else 8))
    if r.random() < 0.15:  # the windows before have looped; this one must not
        k = r.randint(1, min(3, len(segments)))
        segments += segments[-k:] * r.randint(1, 6)
    tokens = [t for s in segments for t in s]
    if task == "transcribe" and utts and utts[0][1] < -0.02 and r.random() < 0.8:
        tokens += cut_words(r, utts, with_ts)
    return [PREV, *tokens[-limit:]]
