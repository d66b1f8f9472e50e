"""Speaks sentences of the grammar into a shard of clips: pool/NAME.i16 (samples) and pool/NAME.pkl (what was said, when).

    python3 pool.py NAME CLIPS_PER_LANGUAGE KIND [SEED]

KIND: train, or heldsent (sentences never trained on), or heldvoice (voices never trained on; of such sentences, too).
"""
import os, pickle, random, sys, time
import numpy as np
from scipy.signal import fftconvolve, resample_poly
import grammar
from synth import SR, Espeak, flite, trim, word_spans

BASES = {"en": [("en-us", 4), ("en", 3), ("en-gb-scotland", 1), ("en-gb-x-rp", 1), ("en-gb-x-gbclan", 1), ("en-029", 1)],
         "de": [("de", 1)], "fr": [("fr", 4), ("fr-be", 1), ("fr-ch", 1)], "es": [("es", 3), ("es-419", 2)]}
VARIANTS = "m1 m2 m3 m4 m5 m6 m8 f1 f3 f4 f5 Andy Annie Alex Alicia Andrea adam aunty belinda benjamin boris caleb david Denis Diogo ed edward Gene Gene2 Henrique Hugo iven iven2 iven3 Jacky john Lee linda marcelo Marco max michael michel miguel norbert pablo paul pedro quincy rob robert sandro shelby steph steph2 travis Tweaky victor zac grandma grandpa klatt klatt2 klatt4 Storm".split()
HELD = ["f2", "m7", "Mike"]  # voices never trained on
FLITE = ["slt", "slt", "rms", "rms", "awb", "kal16", "kal"]


def reverb(x, r):
    n = int(SR * r.uniform(0.05, 0.25))
    h = np.random.RandomState(r.randrange(1 << 30)).randn(n) * np.exp(-np.arange(n) / (n / 6.9)) * r.uniform(0.05, 0.25) / np.sqrt(n / 14)
    h[0] = 1.0
    return fftconvolve(x, h)[: len(x)].astype(np.float32)


def main():
    if len(sys.argv) not in (4, 5) or sys.argv[3] not in ("train", "heldsent", "heldvoice"):
        sys.exit(__doc__)
    name, per, kind = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    r = random.Random(sys.argv[4] if len(sys.argv) > 4 else name)
    es, clips, audio, t0 = Espeak(), [], [], time.time()
    off = 0
    for lang in grammar.LANGS:
        li = grammar.LANGS.index(lang)
        done = 0
        while done < per:
            base = r.choices([b for b, _ in BASES[lang]], [w for _, w in BASES[lang]])[0]
            if kind == "train":
                fl = lang == "en" and r.random() < 0.22
                var = "" if r.random() < 0.2 else "+" + r.choice(VARIANTS)
            elif kind == "heldvoice":
                fl, var = False, "+" + r.choice(HELD)
            else:  # the default voices
                fl, var = lang == "en" and r.random() < 0.2, r.choice(["", "", "+m3", "+f4"])
            voice = "flite-" + r.choice(FLITE) if fl else base + var
            # a short run of clips with one voice and one setting, as one speaker
            rate, pitch, prange = r.randint(130, 215), r.randint(25, 75), r.randint(30, 70)
            warp = r.uniform(0.93, 1.07) if r.random() < 0.5 else 1.0
            wet = r.random() < 0.12
            if kind != "train":
                rate, pitch, prange, warp, wet = r.randint(145, 190), r.randint(40, 60), 50, 1.0, False
            for _ in range(min(r.randint(4, 12), per - done)):
                tpl, texts = grammar.sample(r, held=kind != "train")
                text = texts[li]
                try:
                    if fl:
                        x, _ = flite(text, voice[6:], r.uniform(0.85, 1.2))
                        words, phones = None, None
                    else:
                        x, words, phones = es(text, voice, rate, pitch, prange)
                except ValueError:
                    print("no voice", voice)
                    break
                if len(x) < 3000 or np.abs(x).max() < 0.01:
                    continue
                if warp != 1.0:
                    x = resample_poly(x, 100, round(100 * warp)).astype(np.float32)
                    f = 100 / round(100 * warp)
                    words = words and [(t * f, p, l) for t, p, l in words]
                    phones = phones and [(t * f, p) for t, p in phones]
                a, b = trim(x)
                if words is None:
                    n = [len(w) + 1 for w in text.split(" ")]
                    c = np.cumsum([0] + n) / sum(n) * (b - a) + a
                    spans = list(zip(c[:-1], c[1:]))
                else:
                    spans = word_spans(text, words, a, b)
                if wet:
                    x = reverb(x, r)
                x = x[int(a * SR): int(b * SR)]
                x = x / np.abs(x).max() * 0.9
                audio.append((x * 32767).astype(np.int16))
                clips.append(dict(lang=lang, texts=texts, tpl=tpl, voice=voice, off=off, n=len(x), exact=words is not None,
                                  spans=[(s - a, e - a) for s, e in spans],
                                  phones=phones and [(max(0.0, t - a), p) for t, p in phones if t < b]))
                off += len(x)
                done += 1
        print(lang, done, round(time.time() - t0, 1), flush=True)
    os.makedirs("pool", exist_ok=True)
    np.concatenate(audio).tofile(f"pool/{name}.tmp")
    os.rename(f"pool/{name}.tmp", f"pool/{name}.i16")
    pickle.dump(clips, open(f"pool/{name}.pkl", "wb"))
    print(name, len(clips), "clips", off / SR / 3600, "hours", time.time() - t0, "s")


if __name__ == "__main__":
    main()
