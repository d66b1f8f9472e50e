"""Whisper's network (openai/whisper model.py) written for training so small a one fast.

Three things differ from the original and leave the exported network the same: the tied embedding is held compactly (rows of
the tokens that occur, one row for all others, timestamp rows as a linear map of sinusoids), encoder attention starts out
looking at fixed offsets, and output 0 of the decoder's last layer norm is held at 1, so that column 0 of the embedding is a
bias for each token.
"""
import math
import torch, torch.nn as nn, torch.nn.functional as F
from parts import add_output, attention, feed_forward, norm_linear

D, HEADS, ENC, DEC, N_AUD, N_TXT = 128, 2, 4, 3, 1500, 448
UNUSED = -20.0  # logit of every token that never occurs (embedding row = UNUSED * e_0; decoder.ln fixes h_0 = 1)


def sinusoids(length, channels, max_timescale=10000):
    inc = math.log(max_timescale) / (channels // 2 - 1)
    t = torch.arange(length)[:, None] * torch.exp(-inc * torch.arange(channels // 2))[None]
    return torch.cat([torch.sin(t), torch.cos(t)], 1)


def conv(x, m, stride):
    """Conv1d(k=3, padding=1) on [B, T, C] as one matrix product (oneDNN's backward gave garbage gradients now and then)."""
    T = x.shape[1]
    x = F.pad(x, (0, 0, 1, 1))
    x = torch.cat([x[:, k: k + T: stride] for k in range(3)], -1)
    return F.linear(x, m.weight.permute(0, 2, 1).reshape(m.weight.shape[0], -1), m.bias)


class MHA(nn.Module):
    def __init__(self):
        super().__init__()
        self.query, self.key = nn.Linear(D, D), nn.Linear(D, D, bias=False)
        self.value, self.out = nn.Linear(D, D), nn.Linear(D, D)

    def q(self, x, norm):
        scale = (D // HEADS) ** -0.5
        return norm_linear(x, norm, self.query.weight * scale, self.query.bias * scale)

    def kv_rows(self):
        """Weight and bias of keys and values, as of one matrix."""
        return torch.cat([self.key.weight, self.value.weight]), torch.cat([torch.zeros_like(self.value.bias), self.value.bias])

    def qkv(self, x, norm):
        scale = (D // HEADS) ** -0.5
        w, b = self.kv_rows()
        return norm_linear(x, norm, torch.cat([self.query.weight * scale, w]), torch.cat([self.query.bias * scale, b])).split(D, -1)

    def forward(self, x, q, k, v, causal=False):
        """-> x and what attention adds"""
        return add_output(x, attention(q, k, v, HEADS, causal), self.out)


def head_probs(q, k):
    """-> the attention of head 0, [B, T, S]"""
    d = D // HEADS
    return (q[..., :d] @ k[..., :d].transpose(1, 2)).float().softmax(-1)


class Block(nn.Module):
    def __init__(self, cross):
        super().__init__()
        self.attn, self.attn_ln = MHA(), nn.LayerNorm(D)
        if cross:
            self.cross_attn, self.cross_attn_ln = MHA(), nn.LayerNorm(D)
        self.mlp = nn.Sequential(nn.Linear(D, 4 * D), nn.GELU(), nn.Linear(4 * D, D))
        self.mlp_ln = nn.LayerNorm(D)

    def forward(self, x, causal=False, xkv=None, past=None, probs=False):
        """`past`: a list with the keys and values of the tokens before, filled up here. -> x, attention of cross head 0 where asked for"""
        q, k, v = self.attn.qkv(x, self.attn_ln)
        if past is not None:
            if past:
                k, v = torch.cat([past[0], k], 1), torch.cat([past[1], v], 1)
            past[:] = k, v
        x = self.attn(x, q, k, v, causal)
        p = None
        if xkv is not None:
            q = self.cross_attn.q(x, self.cross_attn_ln)
            p = head_probs(q, xkv[0]) if probs else None
            x = self.cross_attn(x, q, *xkv)
        return feed_forward(x, self.mlp_ln, self.mlp[0], self.mlp[2]), p


class Whisper(nn.Module):
    def __init__(self, n_used, n_phones):
        super().__init__()
        self.conv1 = nn.Conv1d(80, D, 3, padding=1)
        self.conv2 = nn.Conv1d(D, D, 3, stride=2, padding=1)
        self.register_buffer("apos", sinusoids(N_AUD, D))
        self.enc = nn.ModuleList(Block(False) for _ in range(ENC))
        self.ln_post = nn.LayerNorm(D)
        self.emb = nn.Parameter(torch.randn(n_used, D) * D ** -0.5)
        self.ts_w = nn.Parameter(torch.eye(D) * 0.12)
        self.register_buffer("ts_s", sinusoids(1501, D))
        unk = torch.zeros(1, D)
        unk[0, 0] = UNUSED
        self.register_buffer("unk", unk)
        self.pos = nn.Parameter(sinusoids(N_TXT, D) * 0.1)
        self.dec = nn.ModuleList(Block(True) for _ in range(DEC))
        self.ln = nn.LayerNorm(D)
        self.phone = nn.Linear(D, n_phones)  # auxiliary head, not exported
        for m in self.modules():
            if isinstance(m, nn.Linear):
                nn.init.normal_(m.weight, std=(2 / (m.in_features + m.out_features)) ** 0.5 * 0.8)
                if m.bias is not None:
                    nn.init.zeros_(m.bias)
        # start the encoder heads as local (relative-offset) attention on the sinusoids
        H, half = D // HEADS, D // 2
        for l, offs in enumerate([(-2, 2), (-5, 5), (-9, 9), (-3, 3)][:ENC]):
            wq, wk = torch.zeros(D, D), torch.zeros(D, D)
            for h in range(HEADS):
                for i in range(H // 2):
                    w = 10000 ** (-i / (half - 1))
                    c, s = math.cos(w * offs[h]), math.sin(w * offs[h])
                    a, b = h * H + 2 * i, h * H + 2 * i + 1
                    wq[a, i], wq[a, half + i], wq[b, half + i], wq[b, i] = c, s, c, -s
                    wk[a, i], wk[b, half + i] = 1, 1
            at = self.enc[l].attn
            at.query.weight.data = at.query.weight.data * 0.3 + wq
            at.key.weight.data = at.key.weight.data * 0.3 + wk
        self.fix()

    def fix(self):
        """decoder.ln: h_0 = 1 always (so that column 0 of the embedding is a per-token bias)."""
        with torch.no_grad():
            self.ln.weight[0] = 0
            self.ln.bias[0] = 1

    def table(self):
        return torch.cat([self.emb, self.unk, self.ts_s @ self.ts_w])

    def encode(self, mel, offset=0):
        x = F.gelu(conv(mel.transpose(1, 2), self.conv1, 1))
        x = F.gelu(conv(x, self.conv2, 2))
        x = x + self.apos[offset: offset + x.shape[1]]
        for b in self.enc:
            x, _ = b(x)
        return self.ln_post(x)

    def cross(self, xa):
        """Keys and values of all decoder layers, by one product."""
        w, b = zip(*(b.cross_attn.kv_rows() for b in self.dec))
        parts = norm_linear(xa, None, torch.cat(w), torch.cat(b)).split(D, -1)
        return list(zip(parts[::2], parts[1::2]))

    def decode(self, ids, xkv, E, past=None, probs=False):
        o = past[0][0].shape[1] if past and past[0] else 0
        T = ids.shape[1]
        x = E[ids] + self.pos[o: o + T]
        ps = []
        for i, b in enumerate(self.dec):
            x, p = b(x, T > 1, xkv[i], None if past is None else past[i], probs)
            ps.append(p)
        return self.ln(x), ps
