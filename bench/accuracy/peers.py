"""Transcribes recordings with one of the Python programs that sotto is compared with, loaded once.

    python3 peers.py SYSTEM MODEL [THREADS]

SYSTEM is `openai-whisper` (MODEL: a .pt file), `faster-whisper` (a folder of CTranslate2) or `transformers` (a folder of Hugging Face).
Prints {"ready": true, "version", "loadSeconds"}, then reads one JSON object a line,

    {"samples": "PATH", "options": {...}}      raw little-endian float32, mono, 16 kHz; options: see the classes

and answers each with {"text", "language", "segments": [{"start", "end", "text"}], "seconds", "cpuSeconds"} or {"error"}. Whatever
is not named in the options is left at the program's own default. Ends when its stdin does. What libraries print goes to stderr.
"""

import json
import os
import random
import resource
import sys
import time


def threads():
    return int(sys.argv[3]) if len(sys.argv) > 3 else os.cpu_count()


def segments_of(segments):
    """From objects or dictionaries to what is printed."""
    rows = [segment if isinstance(segment, dict) else vars_of(segment) for segment in segments]
    return [{"start": float(row["start"]), "end": float(row["end"]), "text": row["text"]} for row in rows]


def vars_of(segment):
    return {name: getattr(segment, name) for name in ("start", "end", "text")}


class OpenaiWhisper:
    """Options: beam (1 is greedy). As its command line: temperatures from 0 to 1, five beams and best of five, language detected."""

    def __init__(self, path):
        import torch
        import whisper

        torch.set_num_threads(threads())
        self.version = whisper.__version__
        self.torch = torch
        self.model = whisper.load_model(path, device="cpu")

    def transcribe(self, samples, beam=5):
        self.torch.manual_seed(0)
        result = self.model.transcribe(
            samples,
            fp16=False,
            temperature=(0.0, 0.2, 0.4, 0.6, 0.8, 1.0),
            beam_size=beam if beam > 1 else None,
            best_of=5,
            verbose=None,
        )
        return {
            "text": result["text"],
            "language": result["language"],
            "segments": segments_of(result["segments"]),
        }


class FasterWhisper:
    """Options: dtype ("int8", "float32"), batched, vad, beam, batchSize."""

    def __init__(self, path):
        import faster_whisper

        self.version = faster_whisper.__version__
        self.module = faster_whisper
        self.path = path
        self.models = {}

    def model(self, dtype):
        if dtype not in self.models:
            self.models = {
                dtype: self.module.WhisperModel(self.path, device="cpu", compute_type=dtype, cpu_threads=threads())
            }
        return self.models[dtype]

    def prepare(self, dtype="int8", **_):
        """Loads outside the time that is taken."""
        self.model(dtype)

    def transcribe(self, samples, dtype="int8", batched=False, vad=False, beam=5, batchSize=8):
        import ctranslate2

        ctranslate2.set_random_seed(0)
        model = self.model(dtype)
        if batched:
            options = {"batch_size": batchSize, "vad_filter": vad}
            if not vad:
                # Without a VAD it wants to be told where to cut: every 30 s.
                seconds = len(samples) / 16000
                starts = range(0, max(1, int(-(-seconds // 30))))
                options["clip_timestamps"] = [
                    {"start": 30 * i, "end": min(30 * (i + 1), seconds)} for i in starts
                ]
            segments, info = self.module.BatchedInferencePipeline(model).transcribe(samples, beam_size=beam, **options)
        else:
            segments, info = model.transcribe(samples, beam_size=beam, vad_filter=vad)
        segments = segments_of(segments)
        return {"text": "".join(s["text"] for s in segments), "language": info.language, "segments": segments}


class Transformers:
    """Options: chunked (30 s with strides of 5 s; else its long form), beam (1 is greedy), batchSize."""

    def __init__(self, path):
        import torch
        import transformers

        torch.set_num_threads(threads())
        transformers.logging.set_verbosity_error()
        self.version = transformers.__version__
        self.torch = torch
        self.pipe = transformers.pipeline(
            "automatic-speech-recognition", model=path, dtype=torch.float32, device="cpu"
        )

    def transcribe(self, samples, chunked=True, beam=1, batchSize=8):
        self.torch.manual_seed(0)
        options = {"chunk_length_s": 30, "batch_size": batchSize} if chunked else {}
        # Its own default is five beams.
        options["generate_kwargs"] = {"num_beams": beam}
        result = self.pipe({"raw": samples, "sampling_rate": 16000}, return_timestamps=True, **options)
        seconds = len(samples) / 16000
        segments = [
            {"start": s, "end": seconds if e is None else e, "text": chunk["text"]}
            for chunk in result["chunks"]
            for s, e in [chunk["timestamp"]]
        ]
        return {"text": result["text"], "language": None, "segments": segments}


SYSTEMS = {"openai-whisper": OpenaiWhisper, "faster-whisper": FasterWhisper, "transformers": Transformers}


def cpu_seconds():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def main():
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def answer(value):
        print(json.dumps(value, ensure_ascii=False), file=answers, flush=True)

    started = time.perf_counter()
    try:
        import numpy

        system = SYSTEMS[sys.argv[1]](sys.argv[2])
    except Exception as error:
        answer({"error": f"{type(error).__name__}: {error}"})
        return
    answer({"ready": True, "version": system.version, "loadSeconds": time.perf_counter() - started})
    for line in sys.stdin:
        try:
            request = json.loads(line)
            samples = numpy.fromfile(request["samples"], dtype="<f4")
            random.seed(0)
            numpy.random.seed(0)
            if hasattr(system, "prepare"):
                system.prepare(**request["options"])
            started, cpu = time.perf_counter(), cpu_seconds()
            result = system.transcribe(samples, **request["options"])
            seconds = time.perf_counter() - started
            answer({**result, "seconds": seconds, "cpuSeconds": cpu_seconds() - cpu})
        except Exception as error:
            answer({"error": f"{type(error).__name__}: {error}"})


main()
