"""Makes openai-writers.json beside this file with the writers of openai/whisper themselves.

Usage: python make_golden.py path/to/whisper/utils.py   (openai/whisper v20250625; the module needs only the standard library)

`files` holds hashes of what the writers give for every transcript in ../nano; `cases` holds small transcripts with the
whole of each output, so that a difference can be read. `shaped` and `shapedFiles` hold the same for srt and vtt with options,
for transcripts with words.
"""

import hashlib, importlib.util, io, json, pathlib, sys

FORMATS = ["txt", "vtt", "srt", "tsv", "json"]
here = pathlib.Path(__file__).resolve().parent
spec = importlib.util.spec_from_file_location("utils", sys.argv[1])
utils = importlib.util.module_from_spec(spec)
spec.loader.exec_module(utils)


SHAPES = [
    {"max_line_width": 20}, {"max_line_width": 20, "max_line_count": 1}, {"max_line_width": 12, "max_line_count": 2},
    {"max_line_count": 2}, {"max_words_per_line": 1}, {"max_words_per_line": 2}, {"max_words_per_line": 3, "max_line_width": 8},
    {"max_words_per_line": 2, "max_line_width": 14, "max_line_count": 2}, {"max_line_width": 1, "max_line_count": 3},
    {"highlight_words": True}, {"highlight_words": True, "max_line_width": 20, "max_line_count": 2},
    {"highlight_words": True, "max_words_per_line": 2},
]


def written(result, formats=FORMATS, **options):
    outputs = {}
    for name in formats:
        file = io.StringIO(newline="")
        utils.get_writer(name, ".").write_result(result, file, **options)
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

with_words = {name: value for name, value in cases.items() if value["segments"] and "words" in value["segments"][0]}
with_words["pauses and long words"] = result([
    segment(0, 0.5, 4.0, " Wait for it.", words=words((" Wait", 0.5, 0.9), (" for", 0.9, 1.0), (" it.", 4.0, 4.2))),
    segment(1, 4.2, 5.0, "", words=[]),
    segment(2, 4.2, 12.0, " Donaudampfschifffahrtsgesellschaft, ja.", words=words(
        (" Donaudampfschifffahrtsgesellschaft,", 4.2, 6.0), (" ja.", 9.1, 9.3))),
    segment(3, 12.4, 13.0, " Gut.", words=words((" Gut.", 12.4, 13.0))),
])
with_words["characters beyond 16 bits, and none between words"] = result([
    segment(0, 0.0, 2.0, "\U0001f600\U0001f600 \U0001f680 e\u0301", words=words(
        ("\U0001f600\U0001f600", 0.0, 0.5), (" \U0001f680", 0.5, 1.0), (" e\u0301", 1.0, 2.0))),
    segment(1, 2.0, 4.0, "今日はいい天気", words=words(*((c, 2.0 + i / 4, 2.25 + i / 4) for i, c in enumerate("今日はいい天気")))),
], "ja")
with_words["white space in and around words"] = result([
    segment(0, 0.0, 3.0, "", words=words(("\u3000 a", 0.0, 0.5), (" ", 0.5, 0.6), ("b\x85", 0.6, 1.0), ("  c ", 1.2, 1.5), (" d", 1.5, 1.5))),
])

files, shaped_files = {}, {}
for path in sorted((here.parent / "nano").glob("*.json")):
    for name, run in json.loads(path.read_text())["transcribe"].items():
        digest = lambda outputs: {k: hashlib.sha256(v.encode()).hexdigest()[:16] for k, v in outputs.items()}
        files[f"{path.stem}/{name}"] = digest(written(run["result"]))
        if name == "words":
            shaped_files[f"{path.stem}/{name}"] = [digest(written(run["result"], ["vtt", "srt"], **shape)) for shape in SHAPES]

golden = {
    "made": "test/golden/outputs/make_golden.py with openai/whisper v20250625, whisper/utils.py",
    "utilsSha256": hashlib.sha256(pathlib.Path(sys.argv[1]).read_bytes()).hexdigest(),
    "cases": [{"name": name, "result": value, "outputs": written(value)} for name, value in cases.items()],
    "files": files,
    "shapes": SHAPES,
    "shaped": [
        {"name": name, "result": value, "outputs": [written(value, ["vtt", "srt"], **shape) for shape in SHAPES]}
        for name, value in with_words.items()
    ],
    "shapedFiles": shaped_files,
}
(here / "openai-writers.json").write_text(json.dumps(golden, indent=1) + "\n")
