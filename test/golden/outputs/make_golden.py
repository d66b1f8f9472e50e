"""Makes openai-writers.json beside this file with the writers of openai/whisper themselves.

Usage: python make_golden.py path/to/whisper/utils.py   (openai/whisper v20250625; the module needs only the standard library)

`files` holds hashes of what the writers give for every transcript in ../nano; `cases` holds small transcripts with the
whole of each output, so that a difference can be read.
"""

import hashlib, importlib.util, io, json, pathlib, sys

FORMATS = ["txt", "vtt", "srt", "tsv", "json"]
here = pathlib.Path(__file__).resolve().parent
spec = importlib.util.spec_from_file_location("utils", sys.argv[1])
utils = importlib.util.module_from_spec(spec)
spec.loader.exec_module(utils)


def written(result):
    outputs = {}
    for name in FORMATS:
        file = io.StringIO(newline="")
        utils.get_writer(name, ".").write_result(result, file)
        outputs[name] = file.getvalue()
    return outputs


def segment(i, start, end, text, **more):
    return {
        "id": i, "seek": 0, "start": start, "end": end, "text": text, "tokens": [50364 + i], "temperature": 0.0,
        "avg_logprob": -0.25, "compression_ratio": 1.0, "no_speech_prob": 1e-05, **more,
    }


def result(segments, language="en"):
    return {"text": "".join(s["text"] for s in segments), "segments": segments, "language": language}


def words(*items):
    return [{"word": w, "start": s, "end": e, "probability": 0.5} for w, s, e in items]


HELLO, HOW = " Hello there, my friend.", " How are you?"
cases = {
    "two segments": result([segment(0, 0.0, 2.5, HELLO), segment(1, 7.0, 8.04, HOW)]),
    "two segments with words": result([
        segment(0, 0.0, 2.5, HELLO, words=words((" Hello", 0.0, 0.5), (" there,", 0.5, 0.9), (" my", 1.0, 1.2), (" friend.", 1.2, 2.5))),
        segment(1, 7.0, 8.04, HOW, words=words((" How", 7.0, 7.3), (" are", 7.3, 7.5), (" you?", 7.5, 8.04))),
    ]),
    "words take the place of the segment's times; a segment without words has no cue": result([
        segment(0, 0.0, 2.5, " One.", words=words((" One.", 0.31, 2.0))), segment(1, 3.0, 4.0, "", words=[]),
    ]),
    "no segments": result([]),
    "empty text": result([segment(0, 0.0, 30.0, "")]),
    "arrows, tabs, quotes": result([segment(0, 0.0, 1.0, ' a --> b\tc "d" \\ e / -->'), segment(1, 1.0, 2.0, "\t x\t")]),
    "scripts beyond ASCII": result([
        segment(0, 0.0, 1.0, " Grüße, 東京 e\u0301 \U0001f600\U0001f469\u200d\U0001f680"), segment(1, 1.0, 2.0, " שלום \u200fمرحبا \u2028 \x7f\x1b"),
    ], "he"),
    "white space around": result([segment(0, 0.0, 1.0, "\u3000\xa0 a b \x1c\x85\u2003"), segment(1, 1.0, 2.0, "\ufeff c\u200b ")]),
    "rounding and hours": result([
        segment(i, s, e, " t") for i, (s, e) in enumerate([
            (0.0005, 0.0015), (0.0025, 0.0035), (59.9995, 60.0005), (3599.9994, 3599.9995), (3600.0, 3661.001), (360000.5, 360001.25),
            (0.1 + 0.2, 1 / 3), (2.675, 1e5), (1e-05, 0.0001),
        ])
    ]),
    "figures": {
        **result([]),
        "segments": [
            {"id": i, "seek": i, "start": 0.0, "end": 1.0, "text": "", "tokens": [], "temperature": t, "avg_logprob": a, "compression_ratio": c, "no_speech_prob": n}
            for i, (t, a, c, n) in enumerate([
                (0.0, -0.0, 1.0, 1e-05), (0.2, -1e-4, 12.0, 9.999e-05), (1.0, -123456789.125, 1e16, 5e-324),
                (0.6000000000000001, -0.4419, 9007199254740993.0, 1.7976931348623157e308), (0.8, -1e22, 123456789012345680.0, 1.5e-07),
            ])
        ],
    },
}

files = {}
for path in sorted((here.parent / "nano").glob("*.json")):
    for name, run in json.loads(path.read_text())["transcribe"].items():
        files[f"{path.stem}/{name}"] = {
            k: hashlib.sha256(v.encode()).hexdigest()[:16] for k, v in written(run["result"]).items()
        }

golden = {
    "made": "test/golden/outputs/make_golden.py with openai/whisper v20250625, whisper/utils.py",
    "utilsSha256": hashlib.sha256(pathlib.Path(sys.argv[1]).read_bytes()).hexdigest(),
    "cases": [{"name": name, "result": value, "outputs": written(value)} for name, value in cases.items()],
    "files": files,
}
(here / "openai-writers.json").write_text(json.dumps(golden, indent=1) + "\n")
