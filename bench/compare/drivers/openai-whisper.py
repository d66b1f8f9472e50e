# Runs openai/whisper on PyTorch for compare.mjs: whisper.decode, greedy, log-Mel given, so many tokens a window.
# Arguments: model=FOLDER of convert/openai.mjs, threads= mel= mels= prompt=ID,ID (sot, English, transcribe, notimestamps) suppress=ID,ID audio=
# Windows one after another, as its transcribe() has them. Protocol: see ../peer-process.mjs.
import json
import os
import resource
import sys
import time

arguments = dict(argument.split("=", 1) for argument in sys.argv[1:])
threads = int(arguments["threads"])
os.environ["OMP_NUM_THREADS"] = str(threads)

import numpy as np
import torch
import whisper
from whisper.audio import N_FRAMES, N_SAMPLES, log_mel_spectrogram

torch.set_num_threads(threads)
started = time.perf_counter()


def load(folder):
    with open(os.path.join(folder, "index.json")) as file:
        index = json.load(file)
    model = whisper.model.Whisper(whisper.model.ModelDimensions(*index["dimensions"]))
    values = np.fromfile(os.path.join(folder, "weights.bin"), dtype=np.float32)
    state, at = {}, 0
    for parameter in index["parameters"]:
        size = int(np.prod(parameter["dims"]))
        state[parameter["name"]] = torch.from_numpy(values[at : at + size].reshape(parameter["dims"]))
        at += size
    missing, unexpected = model.load_state_dict(state, strict=False)
    if unexpected or any("mask" not in name for name in missing):
        raise ValueError(f"parameters do not fit: missing {missing}, unexpected {unexpected}")
    return model.eval()


def peak_bytes():
    try:
        with open("/proc/self/status") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("VmHWM:")) * 1024
    except FileNotFoundError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


model = load(arguments["model"])
mels = int(arguments["mels"])
mel = torch.from_numpy(np.fromfile(arguments["mel"], dtype=np.float32).reshape(-1, mels, N_FRAMES))
suppress = [int(token) for token in arguments["suppress"].split(",") if token]
load_ms = (time.perf_counter() - started) * 1e3
kept = None


def decode(features, tokens):
    options = whisper.DecodingOptions(
        language="en",
        without_timestamps=True,
        sample_len=tokens,
        suppress_tokens=suppress,
        suppress_blank=False,
        fp16=False,
    )
    return whisper.decode(model, features, options).tokens


@torch.no_grad()
def run(windows, tokens, whole=None):
    answer = {"encodeMs": 0, "decodeMs": 0, "count": 0}
    for window in range(windows):
        began = time.perf_counter()
        one = mel[window] if whole is None else log_mel_spectrogram(whole[window * N_SAMPLES : (window + 1) * N_SAMPLES], mels)
        features = model.encoder(one[None])[0]
        encoded = time.perf_counter()
        ids = decode(features, tokens)
        answer["encodeMs"] += (encoded - began) * 1e3
        answer["decodeMs"] += (time.perf_counter() - encoded) * 1e3
        answer["count"] += len(ids)
        answer.setdefault("tokens", ids)
    return answer


@torch.no_grad()
def steps(tokens):
    global kept
    if kept is None:
        kept = model.encoder(mel[:1])[0]
    began = time.perf_counter()
    ids = decode(kept, tokens)
    ms = (time.perf_counter() - began) * 1e3
    return {"ms": ms, "encodeMs": 0, "decodeMs": ms, "count": len(ids), "tokens": ids}


print(json.dumps({"ready": True, "loadMs": load_ms}), flush=True)
for line in sys.stdin:
    command, *numbers = line.split()
    numbers = [int(number) for number in numbers]
    before, cpu = time.perf_counter(), time.process_time()
    if command == "run":
        answer = run(*numbers)
    elif command == "long":
        answer = run(*numbers, whole=np.fromfile(arguments["audio"], dtype=np.float32))
    elif command == "steps":
        answer = steps(*numbers)
    else:
        raise ValueError(f'unknown command "{command}"')
    ms = (time.perf_counter() - before) * 1e3
    times = {"cpuMs": (time.process_time() - cpu) * 1e3, "peakBytes": peak_bytes()}
    print(json.dumps({"ms": ms, **answer, **times}), flush=True)
