"""Whisper's multilingual byte-level BPE, read from openai/whisper's own rank file; special ids; the suppress list.

Nothing of openai/whisper is copied here: its package (pip install openai-whisper), or the folder `whisper/` of its
sources named by WHISPER_SRC, gives the ranks, the languages, the mel filters and the normaliser's spellings.
"""
import base64, importlib.util, os, re, sys
from functools import lru_cache


def whisper_folder():
    if "WHISPER_SRC" in os.environ:
        return os.environ["WHISPER_SRC"].rstrip("/")
    spec = importlib.util.find_spec("whisper")  # does not import it
    if spec is None or not spec.submodule_search_locations:
        sys.exit("openai/whisper is not installed: pip install openai-whisper, or set WHISPER_SRC to the folder whisper/ of its sources")
    return spec.submodule_search_locations[0]


SRC = whisper_folder()
RANKS = {base64.b64decode(t): int(r) for t, r in (l.split() for l in open(f"{SRC}/assets/multilingual.tiktoken") if l.strip())}
BYTES = {r: t for t, r in RANKS.items()}
_src = open(f"{SRC}/tokenizer.py").read()
LANGUAGES = dict(re.findall(r'^    "(\w+)": "([\w ]+)",$', _src.split("LANGUAGES = {")[1].split("}")[0], re.M))
LANG_CODES = list(LANGUAGES)[:99]
SPECIAL = ["<|endoftext|>", "<|startoftranscript|>", *[f"<|{l}|>" for l in LANG_CODES], "<|translate|>", "<|transcribe|>",
           "<|startoflm|>", "<|startofprev|>", "<|nospeech|>", "<|notimestamps|>"]
SID = {t: len(RANKS) + i for i, t in enumerate(SPECIAL)}
EOT, SOT, TRANSLATE, TRANSCRIBE, PREV, NOSPEECH, NOTS = (SID[f"<|{k}|>"] for k in (
    "endoftext", "startoftranscript", "translate", "transcribe", "startofprev", "nospeech", "notimestamps"))
TS = NOTS + 1  # <|0.00|>
N_VOCAB = TS + 1501
LANG = {l: SID[f"<|{l}|>"] for l in LANG_CODES}
assert (EOT, SOT, LANG["en"], NOTS, TS, N_VOCAB) == (50257, 50258, 50259, 50363, 50364, 51865)
_pat = re.compile(r"'s|'t|'re|'ve|'m|'ll|'d| ?[^\W\d_]+| ?\d+| ?(?:[^\s\w]|_)+|\s+(?!\S)|\s+")


def bpe(piece, max_rank=None):
    parts = [bytes([b]) for b in piece]
    while len(parts) > 1:
        best = min(range(len(parts) - 1), key=lambda i: RANKS.get(parts[i] + parts[i + 1], 1 << 30))
        r = RANKS.get(parts[best] + parts[best + 1], 1 << 30)
        if r == 1 << 30 or (max_rank is not None and r >= max_rank):
            break
        parts[best:best + 2] = [parts[best] + parts[best + 1]]
    return parts


@lru_cache(1 << 16)
def _piece(s):
    b = s.encode()
    return (RANKS[b],) if b in RANKS else tuple(RANKS[p] for p in bpe(b))


def encode(text):
    return [t for m in _pat.findall(text) for t in _piece(m)]


def decode(ids):
    return b"".join(BYTES[i] for i in ids if i < EOT).decode("utf8", "replace")


def non_speech_tokens():
    """tokenizer.py's non_speech_tokens (= suppress_tokens '-1')."""
    symbols = list('"#()*+/:;<=>@[\\]^_`{|}~「」『』')
    symbols += "<< >> <<< >>> -- --- -( -[ (' (\" (( )) ((( ))) [[ ]] {{ }} ♪♪ ♪♪♪".split()
    misc = set("♩♪♫♬♭♮♯")
    result = {encode(" -")[0], encode(" '")[0]}
    for s in symbols + list(misc):
        for t in (encode(s), encode(" " + s)):
            if len(t) == 1 or s in misc:
                result.add(t[0])
    return sorted(result)


if __name__ == "__main__":
    for s in (" The weather in London is 23 degrees.", " ¿Dónde está la estación?", " Où est l'aéroport aujourd'hui?"):
        assert decode(encode(s)) == s
        print([decode([i]) for i in encode(s)])
    print(non_speech_tokens())
