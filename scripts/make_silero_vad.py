"""Writes models/silero-vad/silero_vad_16k.safetensors: the 16 kHz network of silero-vad's default model, silero_vad.jit.

    python3 scripts/make_silero_vad.py models/silero-vad/silero_vad_16k.safetensors

Needs silero-vad 6.2.3 and torch. The numbers are copied unchanged, under the parameter names of that package's own
silero_vad_16k.safetensors. That file itself is not used: in release 6.2.3 it holds other, older weights than the package's
models for torch and onnxruntime.
"""
import json, struct, sys
import silero_vad

NAMES = {
    "stft.forward_basis_buffer": "stft_conv.weight",
    **{f"encoder.{i}.reparam_conv.{part}": f"conv{i + 1}.{part}" for i in range(4) for part in ("weight", "bias")},
    **{f"decoder.rnn.{part}_{side}": f"lstm_cell.{part}_{side}" for part in ("weight", "bias") for side in ("ih", "hh")},
    "decoder.decoder.2.weight": "final_conv.weight",
    "decoder.decoder.2.bias": "final_conv.bias",
}

state = silero_vad.load_silero_vad().state_dict()
tensors = {name: state[f"_model.{theirs}"].float().contiguous().numpy() for theirs, name in NAMES.items()}
header, offset = {"__metadata__": {"source": "silero-vad 6.2.3 silero_vad.jit, 16 kHz"}}, 0
for name, values in tensors.items():
    header[name] = {"dtype": "F32", "shape": list(values.shape), "data_offsets": [offset, offset + values.nbytes]}
    offset += values.nbytes
text = json.dumps(header, separators=(",", ":")).encode()
text += b" " * (-len(text) % 8)
with open(sys.argv[1], "wb") as file:
    file.write(struct.pack("<Q", len(text)) + text)
    for values in tensors.values():
        file.write(values.astype("<f4").tobytes())
