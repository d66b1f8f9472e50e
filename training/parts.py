"""The parts of a block, each by the fastest way this machine has: amx.py, else torch's own; attention, before torch 2.0, one head at a time."""
import torch
import torch.nn.functional as F
import amx


class OneHeadAtATime(torch.autograd.Function):
    """For torch before 2.0: the score matrix of a head stays in the cache. q, k, v [N, T, d], q scaled already."""

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


def attention(q, k, v, heads, causal=False):
    """q [B, T, D] (scaled already), k and v [B, S, D] -> [B, T, D]"""
    B, T, D = q.shape
    if q.dtype == torch.bfloat16 and D == 64 * heads and amx.usable(q):
        return amx.Attention.apply(q, k, v, heads, causal)
    q, k, v = (x.view(B, -1, heads, D // heads).transpose(1, 2) for x in (q, k, v))
    if hasattr(F, "scaled_dot_product_attention"):
        o = F.scaled_dot_product_attention(q, k, v, is_causal=causal, scale=1.0)
    elif causal:
        o = (q @ k.transpose(2, 3) + torch.full((T, T), -1e9).triu_(1)).softmax(-1) @ v
    else:
        o = OneHeadAtATime.apply(*(x.reshape(B * heads, -1, D // heads).contiguous() for x in (q, k, v))).view(B, heads, T, -1)
    return o.transpose(1, 2).reshape(B, T, D)


def norm_linear(x, norm, w, b):
    """norm(x) w^T + b; `norm` a LayerNorm, or None for none"""
    if x.dtype == torch.float32 and x.shape[-1] == 128 and amx.usable(x):
        return amx.Linear.apply(x, norm and norm.weight, norm and norm.bias, w, b)
    return F.linear(norm(x) if norm else x, w, b)


def add_output(x, o, linear):
    """x + linear(o)"""
    if o.dtype == torch.bfloat16 and x.dtype == torch.float32 and x.shape[-1] == 128 and amx.usable(x):
        return amx.Output.apply(x, o, linear.weight, linear.bias)
    return x + linear(o)


def feed_forward(x, norm, first, second):
    """x + second(gelu(first(norm(x))))"""
    if x.dtype == torch.float32 and x.shape[-1] == 128 and first.out_features == 512 and amx.usable(x):
        return amx.Mlp.apply(x, norm.weight, norm.bias, first.weight, first.bias, second.weight, second.bias)
    return x + second(F.gelu(first(norm(x))))
