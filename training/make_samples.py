"""Writes recordings of sentences never trained on, with what was said in them: out/samples/*.flac, *.wav, manifest.json.

    python3 make_samples.py        needs espeak-ng and sox

samples/ of this repository holds some of them. The manifest has each file's text, translation, segments and word times.
"""
import json, os, random, subprocess, wave
import numpy as np
import grammar
from synth import SR, Espeak, flite, trim, word_spans

OUT = "out/samples"
WAV = "en-short"  # left as it is, so that one sample can be read with no decoder at all
es = None


def file_name(name):
    return name + (".wav" if name == WAV else ".flac")


def clip(r, lang, voice, seen):
    li = grammar.LANGS.index(lang)
    while True:
        k, t = grammar.sample(r, held=True)
        if k not in seen:
            break
    seen.append(k)
    del seen[:-7]
    x, w, _ = es(t[li], voice, 165, 50, 50)
    a, b = trim(x)
    sp = [(s - a, e - a) for s, e in word_spans(t[li], w, a, b)]
    x = x[int(a * SR): int(b * SR)]
    return x / np.abs(x).max() * 0.7, t[li], t[0], sp


def write(name, x):
    p = f"{OUT}/{name}.wav"
    with wave.open(p, "wb") as f:
        f.setnchannels(1)
        f.setsampwidth(2)
        f.setframerate(SR)
        f.writeframes((np.clip(x, -1, 1) * 32767).astype(np.int16).tobytes())
    if name == WAV:
        return
    subprocess.run(["sox", p, "-C", "8", f"{OUT}/{file_name(name)}"], check=True)
    os.remove(p)


def speech(name, lang, voice, seconds, seed, noise_db=None):
    r, seen, segs, t, parts = random.Random(seed), [], [], 0.3, []
    while True:
        x, text, tr, sp = clip(r, lang, voice, seen)
        d = len(x) / SR
        if t + d + 0.3 > seconds:
            break
        parts.append((t, x))
        segs.append(dict(start=round(t, 3), end=round(t + d, 3), text=text, translation=tr,
                         words=[dict(word=w, start=round(t + a, 3), end=round(t + b, 3)) for w, (a, b) in zip(text.split(" "), sp)]))
        t += d + r.uniform(0.3, 0.8)
    end = segs[-1]["end"] + 0.4
    y = np.zeros(int(end * SR) + 1, np.float32)
    for a, x in parts:
        i = round(a * SR)
        y[i: i + len(x)] += x
    if noise_db is not None:
        y += np.random.RandomState(seed).randn(len(y)).astype(np.float32) * 0.14 * 10 ** (-noise_db / 20)
    write(name, y)
    return dict(file=file_name(name), language=lang, voice=voice, duration=round(len(y) / SR, 3), text=" ".join(s["text"] for s in segs),
                translation=" ".join(s["translation"] for s in segs), segments=segs)


def main():
    global es
    es = Espeak()
    os.makedirs(OUT, exist_ok=True)
    m = []
    base = dict(en="en-us", de="de", fr="fr", es="es")
    for lang in grammar.LANGS:
        m.append(speech(f"{lang}-short", lang, base[lang], 7, 11))
        m.append(speech(f"{lang}-medium", lang, base[lang] + "+f2", 16, 12))
        m.append(speech(f"{lang}-30s", lang, base[lang], 29.5, 13))
        m.append(speech(f"{lang}-noisy", lang, base[lang] + "+m7", 12, 14, 25))
    m.append(speech("en-gb-medium", "en", "en", 15, 15))
    m.append(speech("en-long", "en", "en-us", 150, 21))
    m.append(speech("de-long", "de", "de", 75, 22))
    write("silence", np.zeros(10 * SR, np.float32))
    write("noise", np.random.RandomState(5).randn(10 * SR).astype(np.float32) * 0.02)
    for n in ("silence", "noise"):
        m.append(dict(file=file_name(n), language=None, duration=10.0, text="", segments=[]))
    json.dump(dict(note="synthetic espeak-ng speech; sentences never used in training; +f2/+m7 are voice variants never used in training; sample rate 16 kHz",
                   samples=m), open(f"{OUT}/manifest.json", "w"), ensure_ascii=False, indent=1)
    print([(s["file"], s["duration"], len(s["segments"])) for s in m])


if __name__ == "__main__":
    main()
