"""Judges an exported checkpoint with openai/whisper's own code, on sentences and voices never trained on; prints the tables of the model card.

    python3 measure.py [FOLDER] [WINDOWS] [JSON]      default: out 25

WINDOWS of 30 s for each of four languages and two sets (pool/evalsent, pool/evalvoice): 200 by default, and as many without speech.
Greedy decoding. The long recordings, five minutes for each language, are of sentences never trained on.
"""
import json, os, random, sys
import numpy as np
import torch
import data, grammar
from openai_whisper import load, whisper
from scores import rate, texts, time_errors, windows, without_speech
from whisper.decoding import DecodingOptions

AT_ONCE = 13  # windows in one call of decode()
LONG = 300  # seconds


def decode(model, mels, **options):
    out = []
    for part in mels.split(AT_ONCE):
        out += whisper.decode(model, part, DecodingOptions(fp16=False, **options))
    return out


def cell(model, pool, lang, n):
    w = windows(pool, 30, n, 7, lang)
    mels = data.log_mel(torch.from_numpy(np.stack([x for x, _, _ in w])))
    utts = [u for _, _, u in w]
    refs = [texts(u, lang) for u in utts]
    stamped = decode(model, mels, language=lang)
    errors = [time_errors(r.tokens, u) for r, u in zip(stamped, utts)]
    row = dict(ts=rate(refs, [r.text for r in stamped]), nots=rate(refs, [r.text for r in decode(model, mels, language=lang, without_timestamps=True)]),
               time=float(np.mean(sum(errors, []))), matched=sum(map(bool, errors)))
    if lang != "en":
        refs = [texts(u, "en") for u in utts]
        for name, plain in (("translate_ts", False), ("translate_nots", True)):
            row[name] = rate(refs, [r.text for r in decode(model, mels, language=lang, task="translate", without_timestamps=plain)])
    row["language"] = sum(l == lang for l in languages(model, mels))
    row["no_speech_max"] = max(r.no_speech_prob for r in stamped)
    return row


def languages(model, mels):
    return [max(p, key=p.get) for part in mels.split(AT_ONCE) for p in model.detect_language(part)[1]]


def no_speech(model, pool, n):
    """-> how many of n windows without speech are recognised as such (probability above 0.6)"""
    mels = data.log_mel(torch.from_numpy(np.stack(without_speech(pool, 30, n))))
    return sum(r.no_speech_prob > 0.6 for r in decode(model, mels, language="en", sample_len=1))


def long_recording(pool, lang, seed):
    r, t, parts, said = random.Random(seed), 0.3, [], []
    ids = [i for i in pool.by[lang]]
    r.shuffle(ids)
    for i in ids:
        c = pool.clips[i]
        if t + c["n"] / data.SR > LONG:
            break
        parts.append((round(t * data.SR), pool.wav(c) * 0.7))
        said.append((c, 0, 0))
        t += c["n"] / data.SR + r.uniform(0.3, 0.8)
    x = np.zeros(LONG * data.SR, np.float32)
    for a, y in parts:
        x[a: a + len(y)] += y
    return x, texts(said, lang)


def main():
    folder, n = sys.argv[1] if len(sys.argv) > 1 else "out", int(sys.argv[2]) if len(sys.argv) > 2 else 25
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", 1)))
    model = load(folder)
    res = dict(cells={}, long={})
    for name in ("evalsent", "evalvoice"):
        pool = data.Pool([name])
        for lang in grammar.LANGS:
            res["cells"][f"{name} {lang}"] = row = cell(model, pool, lang, n)
            print(name, lang, {k: round(v, 4) for k, v in row.items()}, flush=True)
    pool = data.Pool(["evalsent"])
    for lang in grammar.LANGS:
        x, ref = long_recording(pool, lang, 5)
        res["long"][lang] = {k: rate([ref], [whisper.transcribe(model, x, fp16=False, temperature=0.0, language=lang, condition_on_previous_text=k == "conditioned")["text"]])
                             for k in ("conditioned", "unconditioned")}
        print("long", lang, res["long"][lang], flush=True)
    res["no_speech"] = no_speech(model, pool, 8 * n)
    res["windows"] = 8 * n
    res["language"] = sum(c["language"] for c in res["cells"].values())
    print("language", res["language"], "no speech", res["no_speech"], "of", 8 * n)
    if len(sys.argv) > 3:
        json.dump(res, open(sys.argv[3], "w"), indent=1)
    print(table(res))


def table(res):
    p = lambda v: f"{100 * v:.1f}" if v is not None else ""
    lines = ["| | | with timestamps | without | translation, with timestamps | translation, without | error of segment times |", "| --- | --- | --- | --- | --- | --- | --- |"]
    for name, title in (("evalsent", "unseen sentences"), ("evalvoice", "unseen voices")):
        for i, lang in enumerate(grammar.LANGS):
            c = res["cells"][f"{name} {lang}"]
            lines.append(f"| {'' if i else title} | {lang} | {p(c['ts'])} | {p(c['nots'])} | {p(c.get('translate_ts'))} | {p(c.get('translate_nots'))} | {c['time']:.2f} s |")
    lines += ["", "| five minutes | " + " | ".join(grammar.LANGS) + " |", "| --- " * 5 + "|"]
    for k in ("unconditioned", "conditioned"):
        lines.append(f"| {k} on previous text | " + " | ".join(p(res["long"][l][k]) for l in grammar.LANGS) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
