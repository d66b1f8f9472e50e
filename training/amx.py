"""amx.cc for torch: the parts of a block on the matrix unit (AMX) of recent Intel processors, each several times as fast as
torch's own there. LIB is None where it was not compiled (its first lines say how) or the processor has no such unit.
"""
import ctypes, os
import torch


def library():
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "libamx.so")
    modern = hasattr(torch.nn.functional, "scaled_dot_product_attention")  # torch before 2.0 trains in float32
    lib = ctypes.CDLL(path) if modern and os.path.exists(path) else None
    return lib if lib and lib.amx_available() else None


LIB = library()


def usable(x):
    """Inside an autocast to bfloat16 on the CPU."""
    return LIB is not None and x.device.type == "cpu" and torch.is_autocast_enabled("cpu")


def packed(x):
    """Rows may lie apart (a part of a wider matrix), but all by the same distance."""
    return x if x.stride(2) == 1 and x.stride(0) == x.shape[1] * x.stride(1) else x.contiguous()


def pointers(*tensors):
    return [ctypes.c_void_p(x.data_ptr()) for x in tensors]


class Attention(torch.autograd.Function):
    """q, k, v bfloat16 [B, T | S, heads * 64], q scaled already."""

    @staticmethod
    def forward(ctx, q, k, v, heads, causal):
        q, k, v = packed(q), packed(k), packed(v)
        B, T, D = q.shape
        o, lse = torch.empty(B, T, D, dtype=q.dtype), torch.empty(B, heads, T)
        ctx.sizes = B, heads, T, k.shape[1], q.stride(1), k.stride(1), v.stride(1), D, int(causal)
        LIB.attention_forward(*pointers(q, k, v, o, lse), *ctx.sizes)
        ctx.save_for_backward(q, k, v, o, lse)
        return o

    @staticmethod
    def backward(ctx, g):
        q, k, v, o, lse = ctx.saved_tensors
        g = g.contiguous()
        dq, dk, dv = (torch.empty(x.shape, dtype=x.dtype) for x in (q, k, v))
        LIB.attention_backward(*pointers(q, k, v, o, lse, g, dq, dk, dv), *ctx.sizes)
        return dq, dk, dv, None, None


class Mlp(torch.autograd.Function):
    """x + w2 gelu(w1 layer_norm(x) + b1) + b2, x float [..., 128], 512 inside."""

    @staticmethod
    def forward(ctx, x, gamma, beta, w1, b1, w2, b2):
        x = x.contiguous()
        y = torch.empty_like(x)
        LIB.mlp_forward(*pointers(x, gamma, beta, w1, b1, w2, b2, y), x.numel() // 128)
        ctx.save_for_backward(x, gamma, beta, w1, b1, w2)
        return y

    @staticmethod
    def backward(ctx, g):
        x, gamma, beta, w1, b1, w2 = ctx.saved_tensors
        g, dx = g.contiguous(), torch.empty_like(x)
        dgamma, dbeta, d1, db1, d2, db2 = (torch.zeros(n) for n in (128, 128, (128, 512), 512, (128, 512), 128))
        LIB.mlp_backward(*pointers(x, gamma, beta, w1, b1, w2, g, dx, dgamma, dbeta, d1, db1, d2, db2), x.numel() // 128)
        return dx, dgamma, dbeta, d1.t(), db1, d2, db2


class Linear(torch.autograd.Function):
    """layer_norm(x) w^T + b in bfloat16, x float [..., 128]; without the norm where gamma is None."""

    @staticmethod
    def forward(ctx, x, gamma, beta, w, b):
        x, w, b = x.contiguous(), w.contiguous(), b.contiguous()
        norm = pointers(gamma, beta) if gamma is not None else [None, None]
        y = torch.empty(*x.shape[:-1], len(w), dtype=torch.bfloat16)
        LIB.linear_forward(*pointers(x), *norm, *pointers(w, b, y), x.numel() // 128, len(w))
        ctx.save_for_backward(x, gamma, beta, w)
        return y

    @staticmethod
    def backward(ctx, g):
        x, gamma, beta, w = ctx.saved_tensors
        g, dx = g.contiguous(), torch.empty_like(x)
        norm = pointers(gamma, beta) if gamma is not None else [None, None]
        dgamma, dbeta, dw, db = (torch.zeros(n) for n in (128, 128, (128, len(w)), len(w)))
        LIB.linear_backward(*pointers(x), *norm, *pointers(w, g, dx, dgamma, dbeta, dw, db), x.numel() // 128, len(w))
        return dx, *((dgamma, dbeta) if gamma is not None else (None, None)), dw.t(), db


class Output(torch.autograd.Function):
    """x + o w^T + b, x float, o bfloat16 [..., 128]."""

    @staticmethod
    def forward(ctx, x, o, w, b):
        x, o = x.contiguous(), o.contiguous()
        y = torch.empty_like(x)
        LIB.output_forward(*pointers(x, o, w, b, y), x.numel() // 128)
        ctx.save_for_backward(o, w)
        return y

    @staticmethod
    def backward(ctx, g):
        o, w = ctx.saved_tensors
        g, do = g.contiguous(), torch.empty_like(o)
        dw, db = torch.zeros(128, 128), torch.zeros(128)
        LIB.output_backward(*pointers(o, w, g, do, dw, db), o.numel() // 128)
        return g, do, dw, db
