"""The same work by PyTorch code on the same GPU: transformers and openai/whisper, where they are installed.

Random weights of the same sizes, the same windows, log-Mel spectrograms in the time, greedy decoding of a laid-down number of tokens, half precision,
scaled_dot_product_attention. What differs is printed: neither can let each row of a batch end at a length of its own when no text ends by itself, so a
batch runs to its longest row, as it does for real texts, where the rows that have ended are padded.

    python3 peers.py ceiling 8192                      one JSON line: TFLOP/s of a bfloat16 product
    python3 peers.py transformers WORK.json OUT.json   WORK: what peers.mjs writes
    python3 peers.py openai WORK.json OUT.json
"""

import contextlib
import json
import os
import statistics
import sys
import time

import torch

HERE = os.path.dirname(os.path.abspath(__file__))
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
HALF = torch.float16 if DEVICE == "cuda" else torch.float32


def on_device():
    """Makes new parameters where they are used: half a minute faster for large models."""
    return torch.device(DEVICE) if hasattr(torch.device, "__enter__") else contextlib.nullcontext()


def synchronize():
    if DEVICE == "cuda":
        torch.cuda.synchronize()


def ceiling(size):
    if DEVICE != "cuda":
        sys.exit("There is no GPU")
    a, b = (torch.randn(size, size, device=DEVICE, dtype=torch.bfloat16) for _ in range(2))
    for _ in range(5):
        a @ b
    times = []
    for _ in range(20):
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        a @ b
        end.record()
        torch.cuda.synchronize()
        times.append(begin.elapsed_time(end))
    ms = statistics.median(times)
    print(json.dumps({"ms": ms, "tflops": 2 * size**3 / ms / 1e9, "torch": torch.__version__}))


def window_samples(row, d):
    """The windows of a recording of noise, as float32 arrays: content costs nothing."""
    import numpy as np

    rng = np.random.default_rng(1)
    samples = (0.1 * rng.standard_normal(row["seconds"] * 16000)).astype(np.float32)
    return [samples[start : start + length] for start, length in row["windows"]]


def batches(items, size):
    return [items[first : first + size] for first in range(0, len(items), size)]


def timed(once, runs):
    """One run to warm up, then so many."""
    once()
    all_ms = []
    for _ in range(runs):
        synchronize()
        begin = time.perf_counter()
        once()
        synchronize()
        all_ms.append(1000 * (time.perf_counter() - begin))
    return all_ms


def make_transformers(d, generation):
    from transformers import GenerationConfig, WhisperConfig, WhisperFeatureExtractor, WhisperForConditionalGeneration

    config = WhisperConfig(
        vocab_size=d["nVocab"],
        num_mel_bins=d["nMels"],
        encoder_layers=d["nAudioLayer"],
        encoder_attention_heads=d["nAudioHead"],
        decoder_layers=d["nTextLayer"],
        decoder_attention_heads=d["nTextHead"],
        encoder_ffn_dim=4 * d["nAudioState"],
        decoder_ffn_dim=4 * d["nTextState"],
        d_model=d["nAudioState"],
        max_source_positions=d["nAudioCtx"],
        max_target_positions=d["nTextCtx"],
        decoder_start_token_id=50258,
        eos_token_id=50257,
        pad_token_id=50257,
        bos_token_id=50257,
    )
    has_sdpa = hasattr(torch.nn.functional, "scaled_dot_product_attention")
    config._attn_implementation = "sdpa" if has_sdpa else "eager"
    before = torch.get_default_dtype()
    torch.set_default_dtype(HALF)
    try:
        with on_device():
            model = WhisperForConditionalGeneration(config).to(DEVICE)
    finally:
        torch.set_default_dtype(before)
    model.generation_config = GenerationConfig(**generation)
    extractor = WhisperFeatureExtractor(feature_size=d["nMels"], chunk_length=d["nAudioCtx"] // 50)
    return model.eval(), extractor


def generate(model, features, longest):
    """As users have it."""
    limits = {"max_new_tokens": longest, "min_new_tokens": longest, "do_sample": False, "num_beams": 1}
    out = model.generate(features, language="en", task="transcribe", return_timestamps=False, **limits)
    return (out if torch.is_tensor(out) else out["sequences"]).cpu()


def plain_loop(model, features, longest):
    """Greedy decoding and no more: no rules, no checks."""
    encoded = model.model.encoder(features)
    tokens = torch.tensor([[50258, 50259, 50359, 50363]], device=DEVICE).repeat(features.shape[0], 1)
    said, cache = [], None
    for _ in range(longest):
        out = model(encoder_outputs=encoded, decoder_input_ids=tokens, past_key_values=cache, use_cache=True)
        cache = out.past_key_values
        tokens = out.logits[:, -1:].argmax(-1)
        said.append(tokens)
    return torch.cat(said, 1).cpu()


def transformers_rows(work):
    import transformers

    d = work["dimensions"]
    model, extractor = make_transformers(d, work["generation"])
    print("attention:", getattr(model.config, "_attn_implementation", "?"))

    def features(part):
        options = {"sampling_rate": 16000, "return_tensors": "pt"}
        try:
            found = extractor(part, device=DEVICE, **options)
        except (TypeError, ValueError):  # older ones compute on the processor alone
            found = extractor(part, **options)
        return found.input_features.to(DEVICE, HALF)

    def way(decode):
        @torch.inference_mode()
        def once(part, longest):
            produced = decode(model, features(part), longest).shape[1]
            if produced < longest:
                raise RuntimeError(f"{produced} tokens, expected {longest}")

        return once

    ways = {"generate()": way(generate), "a plain loop": way(plain_loop)}
    return {"version": f"transformers {transformers.__version__}, torch {torch.__version__}", "rows": measure(work, ways)}


def measure(work, ways):
    """Times each way of decoding a batch for each recording and batch size, and prints what is known at once."""
    results = []
    for name, once in ways.items():
        for row in work["rows"]:
            samples = window_samples(row, work["dimensions"])
            for size in sorted({min(size, len(samples)) for size in work["batchSizes"]}):
                parts = list(zip(batches(samples, size), batches(row["counts"], size)))

                def everything():
                    for part, counts in parts:
                        once(part, max(counts))

                try:
                    all_ms = timed(everything, work["runs"])
                except Exception as error:  # a size that does not fit is a result, and so is a way that is closed
                    print(f"{name}, batch {size}: {type(error).__name__}: {str(error)[:300]}", flush=True)
                    continue
                found = {"way": name, "seconds": row["seconds"], "batch": size, "ms": statistics.median(all_ms)}
                results.append({**found, "all": all_ms})
                print("RESULT", json.dumps(results[-1]), flush=True)
    return results


def openai_rows(work):
    for folder in (os.environ.get("WHISPER_SOURCE"), os.path.join(HERE, "..", "..", "extra")):
        if folder and os.path.isdir(folder):
            sys.path.insert(0, folder)
    import whisper
    from whisper.audio import log_mel_spectrogram, pad_or_trim
    from whisper.decoding import DecodingOptions
    from whisper.model import ModelDimensions, Whisper

    d = work["dimensions"]
    sizes = ModelDimensions(
        n_mels=d["nMels"],
        n_audio_ctx=d["nAudioCtx"],
        n_audio_state=d["nAudioState"],
        n_audio_head=d["nAudioHead"],
        n_audio_layer=d["nAudioLayer"],
        n_vocab=d["nVocab"],
        n_text_ctx=d["nTextCtx"],
        n_text_state=d["nTextState"],
        n_text_head=d["nTextHead"],
        n_text_layer=d["nTextLayer"],
    )
    with on_device():
        model = Whisper(sizes).to(DEVICE).eval()
    for module in model.modules():
        # load_model() leaves float32, to be cast at every use: this is faster.
        if isinstance(module, (torch.nn.Linear, torch.nn.Conv1d, torch.nn.Embedding)):
            module.to(HALF)
    torch.nn.init.normal_(model.decoder.positional_embedding, std=0.02)
    length = 320 * d["nAudioCtx"]

    def once(part, longest):
        padded = [pad_or_trim(torch.from_numpy(one).to(DEVICE), length) for one in part]
        mel = torch.stack([log_mel_spectrogram(one, d["nMels"]) for one in padded]).to(HALF)
        options = {"language": "en", "without_timestamps": True, "fp16": HALF == torch.float16}
        found = model.decode(mel, DecodingOptions(sample_len=longest, suppress_tokens="-1,50257", **options))
        produced = max(len(one.tokens) for one in found)
        if produced < longest:
            raise RuntimeError(f"{produced} tokens, expected {longest}")

    rows = measure(work, {"decode()": once})
    return {"version": f"openai-whisper {whisper.__version__}, torch {torch.__version__}", "rows": rows}


def main():
    if sys.argv[1] == "ceiling":
        return ceiling(int(sys.argv[2]))
    with open(sys.argv[2]) as file:
        work = json.load(file)
    run = {"transformers": transformers_rows, "openai": openai_rows}[sys.argv[1]]
    result = run(work)
    with open(sys.argv[3], "w") as file:
        json.dump(result, file)


main()
