"""Writes out/ in the Hugging Face layout (fp16 safetensors, tokenizer files, configurations) from a training checkpoint.

    python3 export.py [CHECKPOINT] [--weights-only]

What served training alone is left out or folded in: the auxiliary heads are dropped, and the compact embedding becomes
the full one of 51865 rows.
"""
import json, os, struct, sys
import numpy as np
import torch
import bpe, data, grammar, model as M

OUT = "out"


def byte_to_unicode():
    """GPT-2's printable stand-ins for the 256 bytes, which the tokenizer files are written in."""
    bs = list(range(33, 127)) + list(range(161, 173)) + list(range(174, 256))
    cs, n = bs[:], 0
    for b in range(256):
        if b not in bs:
            bs.append(b)
            cs.append(256 + n)
            n += 1
    return dict(zip(bs, map(chr, cs)))


def tensors(path):
    c = torch.load(path, map_location="cpu")
    v = data.Vocab(c["vocab"])
    m = M.Whisper(v.n, len(c["phones"]))
    c["model"].pop("mask", None)
    m.load_state_dict(c["model"])
    sd = {k: t.detach() for k, t in m.state_dict().items()}
    t = {}
    e = torch.zeros(bpe.N_VOCAB, M.D)
    e[:, 0] = M.UNUSED
    tab = m.table().detach()
    for i, tok in enumerate(v.ids):
        e[tok] = tab[i]
    e[bpe.TS:] = tab[v.ts:]
    t["model.decoder.embed_tokens.weight"] = e
    t["model.decoder.embed_positions.weight"] = sd["pos"]
    t["model.encoder.embed_positions.weight"] = sd["apos"]
    for k in ("conv1", "conv2"):
        for p in ("weight", "bias"):
            t[f"model.encoder.{k}.{p}"] = sd[f"{k}.{p}"]
    for side, blocks, ln in (("encoder", "enc", "ln_post"), ("decoder", "dec", "ln")):
        for p in ("weight", "bias"):
            t[f"model.{side}.layer_norm.{p}"] = sd[f"{ln}.{p}"]
        for i in range(M.ENC if side == "encoder" else M.DEC):
            a, b = f"{blocks}.{i}", f"model.{side}.layers.{i}"
            for src, dst in [("attn", "self_attn")] + ([("cross_attn", "encoder_attn")] if side == "decoder" else []):
                for s, d in (("query", "q_proj"), ("key", "k_proj"), ("value", "v_proj"), ("out", "out_proj")):
                    for p in ("weight", "bias"):
                        if f"{a}.{src}.{s}.{p}" in sd:
                            t[f"{b}.{dst}.{d}.{p}"] = sd[f"{a}.{src}.{s}.{p}"]
                for p in ("weight", "bias"):
                    t[f"{b}.{dst}_layer_norm.{p}"] = sd[f"{a}.{src}_ln.{p}"]
            for s, d in (("mlp.0", "fc1"), ("mlp.2", "fc2"), ("mlp_ln", "final_layer_norm")):
                for p in ("weight", "bias"):
                    t[f"{b}.{d}.{p}"] = sd[f"{a}.{s}.{p}"]
    return t, c["step"]


def save_safetensors(t, path, dtype=np.float16, name="F16"):
    head, blobs, off = {"__metadata__": {"format": "pt"}}, [], 0
    for k in sorted(t):
        a = np.ascontiguousarray(t[k].numpy().astype(dtype))
        assert np.isfinite(a).all(), k
        head[k] = dict(dtype=name, shape=list(a.shape), data_offsets=[off, off + a.nbytes])
        off += a.nbytes
        blobs.append(a.tobytes())
    h = json.dumps(head, separators=(",", ":")).encode()
    h += b" " * (-len(h) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(h)) + h + b"".join(blobs))


def dump(name, obj, indent=2):
    with open(f"{OUT}/{name}", "w", encoding="utf8") as f:
        json.dump(obj, f, ensure_ascii=False, indent=indent)
        f.write("\n")


def tokenizer_files():
    u = byte_to_unicode()
    s = lambda b: "".join(u[x] for x in b)
    vocab, merges = {}, []
    for tok, r in sorted(bpe.RANKS.items(), key=lambda x: x[1]):
        vocab[s(tok)] = r
        if len(tok) > 1:
            p = bpe.bpe(tok, max_rank=r)
            if len(p) == 2:
                merges.append((s(p[0]), s(p[1])))
            else:
                print("not a pair:", r, tok, p)
    vocab_all = dict(vocab)
    vocab_all["<|endoftext|>"] = bpe.EOT
    dump("vocab.json", vocab_all, None)
    with open(f"{OUT}/merges.txt", "w", encoding="utf8") as f:
        f.write("#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in merges))
    added, dec = [], {}
    for tok, i in list(bpe.SID.items()) + [(f"<|{k * 0.02:.2f}|>", bpe.TS + k) for k in range(1501)]:
        sp = i < bpe.TS
        a = dict(content=tok, single_word=False, lstrip=False, rstrip=False, normalized=not sp, special=sp)
        # the Hugging Face files spell <|nospeech|> <|nocaptions|> in old revisions; ids are the same
        added.append(dict(id=i, **a))
        dec[str(i)] = a
    dump("added_tokens.json", {a["content"]: a["id"] for a in added if a["id"] != bpe.EOT})
    sp = lambda t: {"SpecialToken": {"id": t, "type_id": 0}}
    post = dict(type="TemplateProcessing",
                single=[sp("<|startoftranscript|>"), sp("<|notimestamps|>"), {"Sequence": {"id": "A", "type_id": 0}}, sp("<|endoftext|>")],
                pair=[sp("<|startoftranscript|>"), sp("<|notimestamps|>"), {"Sequence": {"id": "A", "type_id": 0}},
                      {"Sequence": {"id": "B", "type_id": 1}}, sp("<|endoftext|>")],
                special_tokens={k: dict(id=k, ids=[bpe.SID[k]], tokens=[k]) for k in ("<|endoftext|>", "<|notimestamps|>", "<|startoftranscript|>")})
    dump("tokenizer.json", dict(
        version="1.0", truncation=None, padding=None, added_tokens=added, normalizer=None,
        pre_tokenizer=dict(type="ByteLevel", add_prefix_space=False, trim_offsets=True, use_regex=True),
        post_processor=post, decoder=dict(type="ByteLevel", add_prefix_space=True, trim_offsets=True, use_regex=True),
        model=dict(type="BPE", dropout=None, unk_token="<|endoftext|>", continuing_subword_prefix="", end_of_word_suffix="", fuse_unk=False,
                   byte_fallback=False, vocab=vocab_all, merges=[f"{a} {b}" for a, b in merges])), None)
    eot = dict(content="<|endoftext|>", lstrip=False, normalized=False, rstrip=False, single_word=False)
    specials = [k for k in bpe.SID]
    dump("special_tokens_map.json", dict(additional_special_tokens=specials, bos_token=eot, eos_token=eot, pad_token="<|endoftext|>", unk_token=eot))
    dump("tokenizer_config.json", dict(
        add_bos_token=False, add_prefix_space=False, added_tokens_decoder=dec, additional_special_tokens=specials, bos_token="<|endoftext|>",
        clean_up_tokenization_spaces=True, eos_token="<|endoftext|>", errors="replace", model_max_length=1024, pad_token="<|endoftext|>",
        processor_class="WhisperProcessor", return_attention_mask=False, tokenizer_class="WhisperTokenizer", unk_token="<|endoftext|>"))
    eng = f"{bpe.SRC}/normalizers/english.json"
    if os.path.exists(eng):
        dump("normalizer.json", json.load(open(eng)))


def configs():
    sup = bpe.non_speech_tokens() + [bpe.SOT, bpe.TRANSLATE, bpe.TRANSCRIBE, bpe.SID["<|startoflm|>"], bpe.PREV, bpe.NOSPEECH]
    assert len(sup) == 88, len(sup)
    common = dict(begin_suppress_tokens=[220, bpe.EOT], bos_token_id=bpe.EOT, decoder_start_token_id=bpe.SOT, eos_token_id=bpe.EOT,
                  pad_token_id=bpe.EOT, suppress_tokens=sup, forced_decoder_ids=[[1, bpe.LANG["en"]], [2, bpe.TRANSCRIBE], [3, bpe.NOTS]])
    dump("config.json", dict(
        _name_or_path="sotto-test-whisper", activation_dropout=0.0, activation_function="gelu", apply_spec_augment=False,
        architectures=["WhisperForConditionalGeneration"], attention_dropout=0.0, **common, classifier_proj_size=256, d_model=M.D,
        decoder_attention_heads=M.HEADS, decoder_ffn_dim=4 * M.D, decoder_layerdrop=0.0, decoder_layers=M.DEC, dropout=0.0,
        encoder_attention_heads=M.HEADS, encoder_ffn_dim=4 * M.D, encoder_layerdrop=0.0, encoder_layers=M.ENC, init_std=0.02,
        is_encoder_decoder=True, max_length=448, max_source_positions=1500, max_target_positions=448, median_filter_width=7,
        model_type="whisper", num_hidden_layers=M.ENC, num_mel_bins=80, scale_embedding=False, torch_dtype="float16",
        transformers_version="4.40.0", use_cache=True, use_weighted_layer_sum=False, vocab_size=bpe.N_VOCAB))
    common.pop("forced_decoder_ids")
    dump("generation_config.json", dict(
        alignment_heads=[[1, 0], [2, 0]], **common, forced_decoder_ids=[[1, None], [2, bpe.TRANSCRIBE]], is_multilingual=True,
        lang_to_id={f"<|{k}|>": v for k, v in bpe.LANG.items()}, max_initial_timestamp_index=50, max_length=448,
        no_timestamps_token_id=bpe.NOTS, prev_sot_token_id=bpe.PREV, return_timestamps=False,
        task_to_id=dict(transcribe=bpe.TRANSCRIBE, translate=bpe.TRANSLATE), transformers_version="4.40.0"))
    mel = np.load(f"{bpe.SRC}/assets/mel_filters.npz")["mel_80"]
    dump("preprocessor_config.json", dict(
        chunk_length=30, feature_extractor_type="WhisperFeatureExtractor", feature_size=80, hop_length=160,
        mel_filters=[[float(x) for x in row] for row in mel],
        n_fft=400, n_samples=480000, nb_max_frames=3000, padding_side="right", padding_value=0.0, processor_class="WhisperProcessor",
        return_attention_mask=False, sampling_rate=16000), None)


if __name__ == "__main__":
    os.makedirs(OUT, exist_ok=True)
    args = [a for a in sys.argv[1:] if a != "--weights-only"]
    t, step = tensors(args[0] if args else "checkpoint/last.pt")
    save_safetensors(t, f"{OUT}/model.safetensors")
    print("step", step, "params", sum(x.numel() for x in t.values()), "bytes", os.path.getsize(f"{OUT}/model.safetensors"))
    if "--weights-only" not in sys.argv:
        configs()
        tokenizer_files()
