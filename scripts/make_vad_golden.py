"""Writes golden files of voice activity, with silero-vad and faster-whisper as the reference programs.

    python3 scripts/make_vad_golden.py test/golden/vad SAMPLES_FOLDER REAL_RECORDINGS_FOLDER

Needs silero-vad 6.2.3, faster-whisper 1.2.1, NumPy 2 and torch. Writes
  probabilities.json   for recordings at 16 kHz: samples, and the probability of each frame by silero-vad's model for torch, 6 digits
  spans.json           faster_whisper.vad.get_speech_timestamps under several option sets, on those probabilities and on random ones,
                       which are given in percent
"""
import json, random, sys, warnings
from importlib.metadata import version
import numpy as np, torch, silero_vad
import faster_whisper.vad as vad
from faster_whisper.audio import decode_audio

warnings.simplefilter("ignore")
out, samples, real = sys.argv[1:]

RECORDINGS = {
    "samples": ["en-short.wav", "de-medium.flac", "en-noisy.flac", "noise.flac", "silence.flac", "fr-30s.flac"],
    "real": ["austen-0890.wav", "azure-de-a.flac", "azure-zh-b.flac", "cheetah-it.wav", "deepspeech-ru.wav", "google-google-gnome.flac",
             "kit-ja-test-clip.wav", "leopard-es.wav", "long-en-printing.flac", "mfa-cold-corpus3.flac"],
}

OPTIONS = [
    {},
    {"min_silence_duration_ms": 160, "max_speech_duration_s": 30},
    {"min_silence_duration_ms": 100, "speech_pad_ms": 30, "min_speech_duration_ms": 250},
    {"min_silence_duration_ms": 500, "speech_pad_ms": 0, "max_speech_duration_s": 3},
    {"max_speech_duration_s": 2, "speech_pad_ms": 200},
    {"threshold": 0.8, "neg_threshold": 0.6, "min_silence_duration_ms": 64, "speech_pad_ms": 111, "min_speech_duration_ms": 333.3},
    {"threshold": 0.1, "min_silence_duration_ms": 0, "speech_pad_ms": 40, "max_speech_duration_s": 1},
    {"threshold": 0.5, "neg_threshold": 0.5, "min_silence_duration_ms": 130, "speech_pad_ms": 1000, "min_speech_duration_ms": 100},
]


def spans(probabilities, n_samples, options):
    vad.get_vad_model = lambda: lambda audio: probabilities
    return [[s["start"], s["end"]] for s in vad.get_speech_timestamps(np.zeros(n_samples, np.float32), vad.VadOptions(**options))]


def random_percents(rng):
    """Speech and silence in turn, of random lengths, with noise that crosses thresholds."""
    frames, values = rng.randint(0, 400), []
    while len(values) < frames:
        middle, noise = rng.choice([(90, 9), (60, 30), (40, 20), (10, 9), (3, 3), (50, 1), (35, 1)])
        values += [rng.randint(middle - noise, middle + noise) for _ in range(rng.choice([1, 2, 4, 8, 20, 60]))]
    return values[:frames]


model = silero_vad.load_silero_vad()
probabilities, span_cases = [], []
for folder, files in RECORDINGS.items():
    for file in files:
        audio = decode_audio(f"{samples if folder == 'samples' else real}/{file}")
        values = model.audio_forward(torch.from_numpy(audio), 16000).numpy().reshape(-1)
        probabilities.append({"folder": folder, "file": file, "nSamples": len(audio), "probabilities": [round(float(v), 6) for v in values]})
        rounded = np.array(probabilities[-1]["probabilities"], np.float32)
        span_cases.append({"file": file, "spans": [spans(rounded, len(audio), options) for options in OPTIONS]})

rng = random.Random(1)
for _ in range(60):
    percents = random_percents(rng)
    n_samples = max(0, 512 * len(percents) - rng.choice([0, 1, 100, 511, 512]))
    values = (np.array(percents) / 100).astype(np.float32)
    span_cases.append({"percents": percents, "nSamples": n_samples, "spans": [spans(values, n_samples, options) for options in OPTIONS]})

about = {"command": "python3 scripts/make_vad_golden.py", **{name: version(name) for name in ("silero-vad", "faster-whisper", "numpy", "torch")}}


def write(name, head, rows):
    """One row a line."""
    text = ",\n".join(json.dumps(row, separators=(",", ":")) for row in rows)
    with open(f"{out}/{name}", "w") as file:
        file.write(f'{json.dumps({"about": about, **head})[:-1]}, "rows": [\n{text}\n]}}\n')


write("probabilities.json", {}, probabilities)
write("spans.json", {"options": OPTIONS}, span_cases)
