"""Makes openai-timing.json beside this file with openai/whisper's own timing.py.

Usage: python make_golden.py path/to/whisper/timing.py   (openai/whisper v20250625; needs numpy)

torch, numba and the model are not needed: `dtw_cpu`, `merge_punctuations` and `add_word_timestamps` are plain Python and numpy,
and `find_alignment` is replaced by made-up alignments. Times are multiples of 0.02 s, so that ties are frequent.
"""

import hashlib, importlib.util, json, pathlib, random, sys, types
import numpy as np

here = pathlib.Path(__file__).resolve().parent
source = pathlib.Path(sys.argv[1])

numba = types.ModuleType("numba")
numba.jit = lambda **_: lambda function: function
torch = types.ModuleType("torch")
torch.Tensor = object
torch.nn = types.ModuleType("torch.nn")
functional = types.ModuleType("torch.nn.functional")
package = types.ModuleType("whisper")
package.__path__ = []
audio = types.ModuleType("whisper.audio")
audio.HOP_LENGTH, audio.SAMPLE_RATE, audio.TOKENS_PER_SECOND = 160, 16000, 50
tokenizer = types.ModuleType("whisper.tokenizer")
tokenizer.Tokenizer = object
sys.modules.update({
    "numba": numba, "torch": torch, "torch.nn": torch.nn, "torch.nn.functional": functional, "whisper": package,
    "whisper.audio": audio, "whisper.tokenizer": tokenizer,
})
spec = importlib.util.spec_from_file_location("whisper.timing", source)
timing = importlib.util.module_from_spec(spec)
spec.loader.exec_module(timing)

rng = random.Random(7)
EOT = 50257
WORDS = [" a", " word", " then", "there", " l", "'", " \"", "\"", " (", ")", ".", ",", "?", "!", "。", " ", "...", " ¿", "\"'", " '\"",
         "。，", "", "東", "x ", " -", "!！", " friends", " at", " home", " 10", "%"]


def alignment():
    items, time = [], rng.choice([0, 0, 5, 40])
    for _ in range(rng.randint(1, 12)):
        duration = rng.choice([0, 4, 6, 8, 10, 10, 12, 16, 20, 24, 40, 70, 120])
        items.append({
            "word": rng.choice(WORDS), "tokens": [rng.randint(0, 50000) for _ in range(rng.randint(1, 3))],
            "start": time / 50, "end": (time + duration) / 50, "probability": rng.randint(0, 100) / 100,
        })
        time += duration
    return items


def timings(items):
    return [timing.WordTiming(i["word"], list(i["tokens"]), np.float64(i["start"]), np.float64(i["end"]), i["probability"]) for i in items]


def segments(items, seek):
    tokens = [t for i in items for t in i["tokens"]]
    cuts = sorted({0, len(tokens), *(rng.randint(0, len(tokens)) for _ in range(rng.randint(0, 3)))})
    made, at = [], 0
    for begin, end in zip(cuts, cuts[1:]):
        first = next(i for i, w in enumerate(items) if sum(len(x["tokens"]) for x in items[:i + 1]) > begin)
        last = next(i for i, w in enumerate(items) if sum(len(x["tokens"]) for x in items[:i + 1]) >= end)
        off = lambda: rng.choice([0, 0, 0.02, -0.1, 0.4, 0.6, -0.6, 1.2, -1.2])
        start = max(at, items[first]["start"] + off())
        stop = max(start, items[last]["end"] + off())
        made.append({
            "seek": seek, "start": round(seek / 100 + start, 2), "end": round(seek / 100 + stop, 2),
            "tokens": [EOT + 107 + rng.randint(0, 9), *tokens[begin:end], EOT + 107 + rng.randint(10, 1500)],
        })
        at = stop
    if rng.random() < 0.1:
        made.insert(rng.randint(0, len(made)), {"seek": seek, "start": 1.0, "end": 2.0, "tokens": [EOT + 107]})
    return made


def plain(o):
    if isinstance(o, dict):
        return {k: plain(v) for k, v in o.items()}
    if isinstance(o, list):
        return [plain(v) for v in o]
    return o.item() if hasattr(o, "item") else o


def attach_case():
    items = alignment()
    seek = rng.choice([0, 0, 250, 3000, 12346])
    given = segments(items, seek)
    last_speech = max(0.0, round(seek / 100 - rng.choice([0, 0, 0.3, 2, 10]), 2))
    result = json.loads(json.dumps(given))
    timing.find_alignment = lambda *_, **__: timings(items)
    timing.add_word_timestamps(
        segments=result, model=None, tokenizer=types.SimpleNamespace(eot=EOT), mel=None, num_frames=3000, last_speech_timestamp=last_speech,
    )
    return {"alignment": items, "seek": seek, "lastSpeech": last_speech, "segments": given,
            "result": [plain({k: s[k] for k in ("start", "end", "words")}) for s in result]}


def merge_case():
    items = alignment()
    merged = timings(items)
    timing.merge_punctuations(merged, "\"'“¿([{-", "\"'.。,，!！?？:：”)]}、")
    return {"words": [i["word"] for i in items], "merged": [w.word for w in merged if w.word or w.tokens]}


def dtw_case():
    rows, columns = rng.randint(1, 7), rng.randint(1, 9)
    cost = np.array([[rng.randint(-2, 2) for _ in range(columns)] for _ in range(rows)], dtype=np.float64)
    path = timing.dtw_cpu(cost)
    return {"cost": cost.astype(int).tolist(), "rows": path[0].tolist(), "columns": path[1].tolist()}


golden = {
    "made": "test/golden/alignment/make_golden.py with openai/whisper v20250625, whisper/timing.py",
    "timingSha256": hashlib.sha256(source.read_bytes()).hexdigest(),
    "dtw": [dtw_case() for _ in range(60)],
    "merge": [merge_case() for _ in range(60)],
    "attach": [attach_case() for _ in range(80)],
}
text = json.dumps(golden, ensure_ascii=False, separators=(",", ":"))
for key in ("dtw", "merge", "attach"):
    text = text.replace(f'"{key}":[', f'\n"{key}":[\n')
text = text.replace('},{"cost"', '},\n{"cost"').replace('},{"words":["', '},\n{"words":["').replace('},{"alignment"', '},\n{"alignment"')
(here / "openai-timing.json").write_text(text + "\n")
