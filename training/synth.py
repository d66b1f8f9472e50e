"""Speech from text: espeak-ng in this process (ctypes), which says when each word and phoneme sounds, and flite (its program).

    python3 synth.py       speaks one sentence a language and prints the times
"""
import ctypes as C, os, subprocess, tempfile, wave
import numpy as np
from scipy.signal import resample_poly

SR = 16000


class _Id(C.Union):
    _fields_ = [("number", C.c_int), ("name", C.c_char_p), ("string", C.c_char * 8)]


class _Event(C.Structure):
    _fields_ = [("type", C.c_int), ("uid", C.c_uint), ("text_position", C.c_int), ("length", C.c_int),
                ("audio_position", C.c_int), ("sample", C.c_int), ("user_data", C.c_void_p), ("id", _Id)]


_CB = C.CFUNCTYPE(C.c_int, C.POINTER(C.c_short), C.c_int, C.POINTER(_Event))


class Espeak:
    def __init__(self):
        self.lib = C.CDLL("libespeak-ng.so.1")
        self.rate = self.lib.espeak_Initialize(2, 0, None, 1)  # synchronous, phoneme events
        assert self.rate == 22050, self.rate
        self._cb = _CB(self._on)
        self.lib.espeak_SetSynthCallback(self._cb)
        self.voice = None

    def _on(self, wav, n, ev):
        if n > 0 and wav:
            self.chunks.append(np.ctypeslib.as_array(wav, shape=(n,)).copy())
        i = 0
        while ev[i].type != 0:
            e = ev[i]
            if e.type == 1:
                self.words.append((e.audio_position / 1000, e.text_position - 1, e.length))
            elif e.type == 7:
                raw = bytes(C.string_at(C.addressof(e.id), 8)).split(b"\0")[0]
                self.phones.append((e.audio_position / 1000, raw.decode("utf8", "ignore")))
            i += 1
        return 0

    def __call__(self, text, voice, rate=175, pitch=50, prange=50, volume=100):
        if voice != self.voice:
            if self.lib.espeak_SetVoiceByName(voice.encode()) != 0:
                raise ValueError(voice)
            self.voice = voice
        for p, v in ((1, rate), (2, volume), (3, pitch), (4, prange)):
            self.lib.espeak_SetParameter(p, int(v), 0)
        self.chunks, self.words, self.phones = [], [], []
        b = text.encode()
        self.lib.espeak_Synth(b, len(b) + 1, 0, 1, 0, 1, None, None)
        self.lib.espeak_Synchronize()
        x = np.concatenate(self.chunks).astype(np.float32) / 32768 if self.chunks else np.zeros(0, np.float32)
        x = resample_poly(x, 320, 441).astype(np.float32)
        return x, self.words, self.phones


def flite(text, voice, stretch=1.0):
    with tempfile.NamedTemporaryFile(suffix=".wav") as f:
        out = subprocess.run(["flite", "-voice", voice, "--setf", f"duration_stretch={stretch}", "-psdur", "-t", text,
                              "-o", f.name], capture_output=True, text=True, check=True).stdout
        with wave.open(f.name) as w:
            sr = w.getframerate()
            x = np.frombuffer(w.readframes(w.getnframes()), np.int16).astype(np.float32) / 32768
    if sr != SR:
        x = resample_poly(x, SR, sr).astype(np.float32)
    return x, out


def trim(x, thresh=0.02, pad=0.0):
    """Return (start, end) in seconds of the audible part."""
    n = 80
    m = len(x) // n
    if m == 0:
        return 0.0, 0.0
    e = np.abs(x[: m * n]).reshape(m, n).max(1)
    on = np.where(e > thresh * e.max())[0]
    return max(0.0, on[0] * n / SR - pad), min(len(x) / SR, (on[-1] + 1) * n / SR + pad)


def word_spans(text, events, t0, t1):
    """Per whitespace word (start, end) in seconds, from espeak's word events; t0/t1 = audible extent."""
    words, pos = [], 0
    for w in text.split(" "):
        words.append((pos, pos + len(w)))
        pos += len(w) + 1
    starts = [None] * len(words)
    for t, p, _ in events:
        for i, (a, b) in enumerate(words):
            if a <= p < b:
                if starts[i] is None:
                    starts[i] = t
                break
    starts[0] = t0 if starts[0] is None else starts[0]
    for i in range(1, len(starts)):
        if starts[i] is None:
            starts[i] = -1.0
    # words without an event share the span of the word before them
    spans, i = [], 0
    while i < len(starts):
        j = i + 1
        while j < len(starts) and starts[j] < 0:
            j += 1
        a = min(max(starts[i], t0), t1)
        b = t1 if j == len(starts) else min(max(starts[j], a), t1)
        w = [len(text.split(" ")[k]) for k in range(i, j)]
        c = a
        for k in range(i, j):
            d = (b - a) * w[k - i] / sum(w)
            spans.append((c, c + d))
            c += d
        i = j
    return spans


if __name__ == "__main__":
    import time
    es = Espeak()
    for v, t in (("en-us+f3", "It is 23 degrees in London, please."), ("de", "Ich möchte Brot und Käse, bitte."),
                 ("fr+m3", "Il fait 21 degrés à Genève aujourd'hui."), ("es", "¿Dónde está la estación?")):
        s = time.time()
        x, w, p = es(t, v)
        print(v, len(x) / SR, time.time() - s, trim(x))
        print(w)
        print(word_spans(t, w, *trim(x)))
        print(p)
    x, o = flite("It is 23 degrees in London, please.", "slt")
    print(len(x) / SR, trim(x), o[:300])
