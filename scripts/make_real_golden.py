"""Writes what openai/whisper makes of recordings of people, with OpenAI's own weights, for the tests in test/real.

    npm run build && python3 scripts/make_real_golden.py WEIGHTS RECORDINGS test/real/golden [NAME ...]

WEIGHTS holds base.pt and tiny.en.pt, as openai/whisper loads them. Needs openai-whisper (v20250625), torch, numpy and node: the samples
are those of sotto's own reader, so that a difference is a difference of recognition and not of two resamplers. Everything is computed in
float32. Writes one JSON file a recording: some of the samples, and the result of transcribe() for each run in RUNS.
"""
import json, os, subprocess, sys
import numpy as np, torch, whisper
from make_golden import clean, r

READ = """
import { loadAudio } from "./dist/audio/index.js";
process.stdout.write(Buffer.from((await loadAudio(process.argv[1])).buffer));
"""

OPTIONS = {"default": dict(), "words": dict(word_timestamps=True), "beam5": dict(beam_size=5)}

# Recording -> model -> names of OPTIONS. Two of them are longer than a window.
RUNS = {
    "austen-0920.wav": {"base": ["default"], "tiny.en": ["words"]},
    "azure-en-b.flac": {"base": ["default"], "tiny.en": ["default", "words"]},
    "azure-ko-b.flac": {"base": ["default"]},
    "azure-zh-a.flac": {"base": ["default"]},
    "cheetah-en.wav": {"base": ["words"], "tiny.en": ["default", "words", "beam5"]},
    "cheetah-fr.wav": {"base": ["default", "words"]},
    "cheetah-it.wav": {"base": ["default", "words"]},
    "cheetah-pt.wav": {"base": ["default", "beam5"]},
    "deepspeech-ru.wav": {"base": ["default"]},
    "kerstin-0010.webm": {"base": ["default"]},
    "kit-es-test-clip.wav": {"base": ["default"]},
    "leopard-de.wav": {"base": ["default", "words"]},
    "leopard-en.wav": {"tiny.en": ["default", "words"]},
    "leopard-ja.wav": {"base": ["default", "words"]},
}


def read(path):
    root = os.path.join(os.path.dirname(__file__), "..")
    done = subprocess.run(["node", "--input-type=module", "-e", READ, os.path.abspath(path)], cwd=root, stdout=subprocess.PIPE, check=True)
    return np.frombuffer(done.stdout, np.float32).copy()


def load(folder, name):
    model = whisper.load_model(f"{folder}/{name}.pt", device="cpu").float().eval()
    model.set_alignment_heads(whisper._ALIGNMENT_HEADS[name])  # known by name alone, not by file
    return model


if __name__ == "__main__":
    weights, recordings, out, *names = sys.argv[1:]
    models = {name: load(weights, name) for name in ("base", "tiny.en")}
    os.makedirs(out, exist_ok=True)
    for recording in names or RUNS:
        audio = read(f"{recordings}/{recording}")
        golden = {"audio": recording, "openai_whisper": whisper.__version__, "samples": {"count": len(audio), "at_every": 4000, "values": r(audio[::4000])}, "runs": []}
        for name, runs in RUNS[recording].items():
            for run in runs:
                options = OPTIONS[run]
                torch.manual_seed(0)
                result = clean(whisper.transcribe(models[name], audio, fp16=False, verbose=None, **options))
                warmest = max((segment["temperature"] for segment in result["segments"]), default=0)
                if warmest > 0:
                    sys.exit(f"{recording}, {name}, {run}: a window was sampled at temperature {warmest}, and random numbers cannot be compared")
                golden["runs"].append({"model": name, "run": run, "options": options, "result": result})
                print(recording, name, run, result["language"], len(result["segments"]), result["text"][:80], flush=True)
        with open(f"{out}/{recording.rsplit('.', 1)[0]}.json", "w") as file:
            json.dump(golden, file, indent=1, ensure_ascii=False)
            file.write("\n")
