"""Writes golden files for one checkpoint and a folder of recordings, with openai/whisper as the reference program.

    python3 scripts/make_golden.py models/nano samples test/golden/nano [NAME ...]
    GOLDEN_RUNS=default,no_context python3 scripts/make_golden.py ...       only these of RUNS

The checkpoint is in Hugging Face layout. Needs openai-whisper (v20250625), torch, numpy, and ffmpeg to read the recordings.
Writes one JSON file a recording, with the stages a Whisper implementation passes through: samples, log-Mel, encoder output,
first logits, language probabilities, greedy tokens of the first window (with and without timestamps), and transcribe() under
several option sets. Floats are rounded to 6 digits. Arrays are sampled at fixed positions (stated beside them), so that a
failing stage can be named without storing megabytes.
"""
import json, os, struct, sys
import numpy as np, torch, whisper
from whisper.audio import load_audio, log_mel_spectrogram, pad_or_trim, N_FRAMES
from whisper.decoding import DecodingOptions, DecodingTask
from whisper.model import ModelDimensions, Whisper


def read_safetensors(path):
    with open(path, "rb") as f:
        n = struct.unpack("<Q", f.read(8))[0]
        head = json.loads(f.read(n))
        body = f.read()
    kinds = {"F32": np.float32, "F16": np.float16}
    return {k: torch.from_numpy(np.frombuffer(body[v["data_offsets"][0]:v["data_offsets"][1]], kinds[v["dtype"]]).reshape(v["shape"]).astype(np.float32).copy())
            for k, v in head.items() if k != "__metadata__"}


NAMES = [("model.encoder.layers.", "encoder.blocks."), ("model.decoder.layers.", "decoder.blocks."),
         ("model.encoder.embed_positions.weight", "encoder.positional_embedding"), ("model.decoder.embed_positions.weight", "decoder.positional_embedding"),
         ("model.decoder.embed_tokens.", "decoder.token_embedding."), ("model.encoder.layer_norm.", "encoder.ln_post."), ("model.decoder.layer_norm.", "decoder.ln."),
         ("self_attn_layer_norm", "attn_ln"), ("encoder_attn_layer_norm", "cross_attn_ln"), ("final_layer_norm", "mlp_ln"),
         ("self_attn.", "attn."), ("encoder_attn.", "cross_attn."), ("q_proj", "query"), ("k_proj", "key"), ("v_proj", "value"), ("out_proj", "out"),
         ("fc1", "mlp.0"), ("fc2", "mlp.2"), ("model.encoder.", "encoder."), ("model.decoder.", "decoder.")]


def load(folder):
    c = json.load(open(f"{folder}/config.json"))
    g = json.load(open(f"{folder}/generation_config.json"))
    dims = ModelDimensions(c["num_mel_bins"], c["max_source_positions"], c["d_model"], c["encoder_attention_heads"], c["encoder_layers"],
                           c["vocab_size"], c["max_target_positions"], c["d_model"], c["decoder_attention_heads"], c["decoder_layers"])
    model = Whisper(dims)
    state = {}
    for k, v in read_safetensors(f"{folder}/model.safetensors").items():
        if k == "proj_out.weight":
            continue
        for a, b in NAMES:
            k = k.replace(a, b)
        state[k] = v
    missing, extra = model.load_state_dict(state, strict=False)
    assert not extra and all("mask" in m for m in missing), (missing, extra)
    if g.get("alignment_heads"):
        heads = torch.zeros(dims.n_text_layer, dims.n_text_head, dtype=torch.bool)
        for layer, head in g["alignment_heads"]:
            heads[layer, head] = True
        model.register_buffer("alignment_heads", heads.to_sparse(), persistent=False)
    return model.eval()


def r(x):
    return [round(float(v), 6) for v in np.asarray(x).reshape(-1)]


def clean(o):
    if isinstance(o, dict):
        return {k: clean(v) for k, v in o.items()}
    if isinstance(o, (list, tuple)):
        return [clean(v) for v in o]
    if isinstance(o, (float, np.floating)):
        return round(float(o), 6)
    return o.item() if hasattr(o, "item") else o


RUNS = {
    "default": dict(),
    "greedy_no_fallback": dict(temperature=0.0),
    "no_context": dict(temperature=0.0, condition_on_previous_text=False),
    "without_timestamps": dict(temperature=0.0, without_timestamps=True),
    "beam5": dict(temperature=0.0, beam_size=5),
    "beam5_patience2_length_penalty": dict(temperature=0.0, beam_size=5, patience=2.0, length_penalty=0.6),
    "words": dict(temperature=0.0, word_timestamps=True),
    "translate": dict(temperature=0.0, task="translate"),
    "prompt": dict(temperature=0.0, initial_prompt="Numbers, dates and the weather."),
    "clips": dict(temperature=0.0, clip_timestamps="0.5,2.5,3.0,4.0"),  # a clip past the end of the audio makes openai/whisper loop for ever
}


@torch.no_grad()
def golden(model, path, only=None):
    audio = load_audio(path)
    mel_full = log_mel_spectrogram(audio, model.dims.n_mels, padding=480000)
    mel = pad_or_trim(mel_full, N_FRAMES)
    mel_window = log_mel_spectrogram(pad_or_trim(torch.from_numpy(audio)), model.dims.n_mels)
    enc = model.embed_audio(mel[None])[0]
    out = {"audio": os.path.basename(path), "seconds": len(audio) / 16000,
           "samples": {"count": len(audio), "at_every": 4000, "values": r(audio[::4000])},
           "mel_of_whole_file_first_window": {"shape": list(mel.shape), "mean": float(mel.mean()), "max": float(mel.max()), "min": float(mel.min()), "at": "mel[::8, ::250]", "values": r(mel[::8, ::250])},
           "mel_of_first_30s_padded_with_silence": {"mean": float(mel_window.mean()), "max": float(mel_window.max()), "min": float(mel_window.min()), "at": "mel[::8, ::250]", "values": r(mel_window[::8, ::250])},
           "encoder_output": {"shape": list(enc.shape), "mean": float(enc.mean()), "std": float(enc.std()), "at": "enc[::150, ::16]", "values": r(enc[::150, ::16])}}
    tok = whisper.tokenizer.get_tokenizer(model.is_multilingual, num_languages=model.num_languages)
    _, probs = model.detect_language(mel)
    lang = max(probs, key=probs.get)
    out["language"] = lang
    out["language_probs_top5"] = {k: round(v, 6) for k, v in sorted(probs.items(), key=lambda kv: -kv[1])[:5]}
    sot = torch.tensor([[tok.sot, tok.to_language_token(lang), tok.transcribe]])
    logits = model.logits(sot, enc[None])[0]
    out["logits_after_sot_language_transcribe"] = {"tokens": sot[0].tolist(), "top10_of_last": [[int(i), round(float(logits[-1, i]), 5)] for i in logits[-1].topk(10).indices],
                                                   "no_speech_prob": round(float(logits[0].softmax(-1)[tok.no_speech]), 6)}
    for name, opts in {"first_window_timestamps": dict(), "first_window_text_only": dict(without_timestamps=True), "first_window_beam5": dict(beam_size=5)}.items():
        d = whisper.decode(model, mel, DecodingOptions(language=lang, fp16=False, **opts))
        out[name] = {"tokens": list(d.tokens), "text": d.text, "avg_logprob": round(d.avg_logprob, 6), "no_speech_prob": round(d.no_speech_prob, 6), "compression_ratio": round(d.compression_ratio, 6)}
    out["transcribe"] = {}
    for name, opts in RUNS.items():
        if only and name not in only:
            continue
        torch.manual_seed(0)
        out["transcribe"][name] = {"options": opts, "result": clean(whisper.transcribe(model, audio, fp16=False, verbose=None, **opts))}
    return out


if __name__ == "__main__":
    model_dir, audio_dir, out_dir, *names = sys.argv[1:]
    os.makedirs(out_dir, exist_ok=True)
    model = load(model_dir)
    for name in sorted(names or os.listdir(audio_dir)):
        if name.rsplit(".", 1)[-1] in ("wav", "flac", "mp3"):
            g = golden(model, f"{audio_dir}/{name}", os.environ.get("GOLDEN_RUNS", "").split(",") if os.environ.get("GOLDEN_RUNS") else None)
            json.dump(g, open(f"{out_dir}/{name.rsplit('.', 1)[0]}.json", "w"), indent=1, ensure_ascii=False)
            print(name, g["language"], next(iter(g["transcribe"].values()))["result"]["text"][:100], flush=True)
