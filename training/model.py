"""Whisper's network (openai/whisper model.py) written for training on a CPU.

Three things differ from the original and leave the exported network the same: the tied embedding is held compactly (rows of
the tokens that occur, one row for all others, timestamp rows as a linear map of sinusoids), encoder attention starts out
looking at fixed offsets, and output 0 of the decoder's last layer norm is held at 1, so that column 0 of the embedding is a
bias for each token.
"""
import math
import torch, torch.nn as nn, torch.nn.functional as F

D, HEADS, ENC, DEC, N_AUD, N_TXT = 128, 2, 4, 3, 1500, 448
UNUSED = -20.0  # logit of every token that never occurs (embedding row = UNUSED * e_0; decoder.ln fixes h_0 = 1)


def sinusoids(length, channels, max_timescale=10000):
    inc = math.log(max_timescale) / (channels // 2 - 1)
    t = torch.arange(length)[:, None] * torch.exp(-inc * torch.arange(channels // 2))[None]
    return torch.cat([torch.sin(t), torch.cos(t)], 1)


class Attn(torch.autograd.Function):
    """softmax(q k^T) v one head at a time, so that the score matrix stays in the cache. q is scaled already."""

    @staticmethod
    def forward(ctx, q, k, v):
        N, T, d = q.shape
        S = k.shape[1]
        P = torch.empty(N, T, S)
        o = torch.empty_like(q)
        for i in range(N):
            p = P[i]
            torch.mm(q[i], k[i].t(), out=p)
            torch.softmax(p, -1, out=p)
            torch.mm(p, v[i], out=o[i])
        ctx.save_for_backward(q, k, v, o, P)
        return o

    @staticmethod
    def backward(ctx, g):
        q, k, v, o, P = ctx.saved_tensors
        g = g.contiguous()
        dq, dk, dv = torch.empty_like(q), torch.empty_like(k), torch.empty_like(v)
        delta = (g * o).sum(-1, keepdim=True)
        buf = torch.empty(P.shape[1:])
        for i in range(len(q)):
            torch.mm(g[i], v[i].t(), out=buf)
            buf.sub_(delta[i]).mul_(P[i])
            torch.mm(buf, k[i], out=dq[i])
            torch.mm(buf.t(), q[i], out=dk[i])
            torch.mm(P[i].t(), g[i], out=dv[i])
        return dq, dk, dv


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

    def split(self, x):
        B, T, _ = x.shape
        return x.view(B, T, HEADS, D // HEADS).transpose(1, 2).reshape(B * HEADS, T, D // HEADS)

    def kv(self, x):
        return self.split(self.key(x)), self.split(self.value(x))

    def forward(self, x, kv=None, mask=None, probs=False):
        B, T, _ = x.shape
        q = self.split(self.query(x) * (D // HEADS) ** -0.5)
        k, v = kv if kv is not None else self.kv(x)
        p = None
        if mask is None and not probs and self.training:
            o = Attn.apply(q.contiguous(), k.contiguous(), v.contiguous())
        else:
            s = q @ k.transpose(1, 2)
            if mask is not None:
                s = s + mask
            p = s.softmax(-1)
            o = p @ v
        o = o.view(B, HEADS, T, D // HEADS).transpose(1, 2).reshape(B, T, D)
        return self.out(o), p


class Block(nn.Module):
    def __init__(self, cross):
        super().__init__()
        self.attn, self.attn_ln = MHA(), nn.LayerNorm(D)
        if cross:
            self.cross_attn, self.cross_attn_ln = MHA(), nn.LayerNorm(D)
        self.mlp = nn.Sequential(nn.Linear(D, 4 * D), nn.GELU(), nn.Linear(4 * D, D))
        self.mlp_ln = nn.LayerNorm(D)

    def forward(self, x, mask=None, xkv=None, past=None):
        h = self.attn_ln(x)
        kv, p = self.attn.kv(h), None
        if past is not None:
            if past:
                kv = (torch.cat([past[0], kv[0]], 1), torch.cat([past[1], kv[1]], 1))
            past[:] = kv
        x = x + self.attn(h, kv, mask)[0]
        if xkv is not None:
            h, p = self.cross_attn(self.cross_attn_ln(x), xkv, probs=True)
            x = x + h
        return x + self.mlp(self.mlp_ln(x)), p


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
        self.register_buffer("mask", torch.full((N_TXT, N_TXT), -1e9).triu_(1))
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
        return [b.cross_attn.kv(xa) for b in self.dec]

    def decode(self, ids, xkv, E, past=None):
        o = past[0][0].shape[1] if past and past[0] else 0
        T = ids.shape[1]
        x = E[ids] + self.pos[o: o + T]
        mask = self.mask[o: o + T, : o + T] if T > 1 else None
        ps = []
        for i, b in enumerate(self.dec):
            x, p = b(x, mask, xkv[i], None if past is None else past[i])
            ps.append(p)
        return self.ln(x), ps
