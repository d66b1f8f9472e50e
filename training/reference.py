"""Runs openai/whisper's own Python code on out/, as the judge of what was exported.

    python3 reference.py samples                     all of out/samples; error rates into out/samples/reference_run.json
    python3 reference.py FILE [LANGUAGE] [TASK]      one file, with word times
"""
import json, os, subprocess, sys
import numpy as np
import torch
from openai_whisper import load, whisper
from scores import edits, norm


def audio(path):
    raw = subprocess.run(["ffmpeg", "-nostdin", "-v", "error", "-i", path, "-f", "s16le", "-ac", "1", "-ar", "16000", "-"], capture_output=True, check=True).stdout
    return np.frombuffer(raw, np.int16).astype(np.float32) / 32768


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", 1)))
    m = load("out")
    if sys.argv[1] != "samples":
        r = whisper.transcribe(m, audio(sys.argv[1]), fp16=False, temperature=0.0, language=sys.argv[2] if len(sys.argv) > 2 else None,
                               task=sys.argv[3] if len(sys.argv) > 3 else "transcribe", word_timestamps=True)
        print(r["language"])
        for s in r["segments"]:
            print(round(s["start"], 2), round(s["end"], 2), s["text"], round(s["no_speech_prob"], 3), round(s["avg_logprob"], 3))
            print("   ", [(w["word"], round(float(w["start"]), 2), round(float(w["end"]), 2)) for w in s["words"]])
        return
    man = json.load(open("out/samples/manifest.json"))
    rows = []
    for s in man["samples"]:
        x = audio(f"out/samples/{s['file']}")
        row = dict(file=s["file"])
        r = whisper.transcribe(m, x, fp16=False, temperature=0.0, word_timestamps=True)
        row["lang"] = r["language"]
        row["nospeech"] = round(max([g["no_speech_prob"] for g in r["segments"]], default=-1), 3)
        if s["language"]:
            w = norm(s["text"])
            row["wer"] = round(edits(w, norm(r["text"])) / len(w), 4)
            seg, ref = r["segments"], s["segments"]
            row["segs"] = f"{len(seg)}/{len(ref)}"
            if len(seg) == len(ref):
                row["seg_mae"] = round(float(np.mean([abs(a[k] - b[k]) for a, b in zip(seg, ref) for k in ("start", "end")])), 3)
            hw = [q for g in seg for q in g["words"]]
            rw = [q for g in ref for q in g["words"]]
            if len(hw) == len(rw):
                row["word_mae"] = round(float(np.mean([abs(a[k] - b[k]) for a, b in zip(hw, rw) for k in ("start", "end")])), 3)
            r2 = whisper.transcribe(m, x, fp16=False, temperature=0.0, language=s["language"], without_timestamps=True)
            row["wer_nots"] = round(edits(w, norm(r2["text"])) / len(w), 4)
            if s["language"] != "en":
                r3 = whisper.transcribe(m, x, fp16=False, temperature=0.0, language=s["language"], task="translate")
                t = norm(s["translation"])
                row["wer_translate"] = round(edits(t, norm(r3["text"])) / len(t), 4)
            if row["wer"] > 0:
                row["ref"], row["hyp"] = s["text"][:300], r["text"][:300]
        else:
            row["text"] = r["text"]
        rows.append(row)
        print(json.dumps(row, ensure_ascii=False), flush=True)
    json.dump(rows, open("out/samples/reference_run.json", "w"), ensure_ascii=False, indent=1)


if __name__ == "__main__":
    main()
