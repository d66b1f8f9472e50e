"""Measures a training checkpoint: greedy decoding under openai/whisper's rules, on sentences and voices never trained on.

    python3 evaluate.py SECONDS WINDOWS [CHECKPOINT] [-v]      30 8, say; the tables of the model card come from measure.py

SECONDS of a window, WINDOWS for each language and set. Reads pool/evalsent and pool/evalvoice. Columns: WER with
timestamps, without, translation without and with, share of right languages, error of the segment times (mean and 95th
percentile, seconds, where the segments match in number), no-speech probability on speech, mean log-probability.
"""
import sys, time
import numpy as np
import torch
import bpe, data, grammar, model as M
from bpe import EOT, SOT, LANG, NOSPEECH, NOTS, TRANSCRIBE, TRANSLATE
from scores import rate, segments, texts, time_errors, windows, without_speech


class Decoder:
    def __init__(self, path):
        c = torch.load(path, map_location="cpu")
        c["model"].pop("mask", None)  # of checkpoints written before
        self.v, self.ph = data.Vocab(c["vocab"]), data.Phones(c["phones"])
        self.m = M.Whisper(self.v.n, len(self.ph.names))
        self.m.load_state_dict(c["model"])
        self.m.eval()
        self.step = c["step"]
        self.E = self.m.table().detach()
        sup = torch.zeros(self.v.size)
        for t in bpe.non_speech_tokens() + [TRANSCRIBE, TRANSLATE, SOT, bpe.PREV, NOSPEECH, bpe.SID["<|startoflm|>"]]:
            if t in self.v.map:
                sup[self.v.map[t]] = -np.inf
        self.sup, self.eot, self.ts = sup, self.v.map[EOT], self.v.ts

    def cm(self, t):
        return self.v.to(t)

    @torch.no_grad()
    def sot(self, xkv, B):
        h, _ = self.m.decode(torch.full((B, 1), self.cm(SOT)), xkv, self.E)
        lg = h[:, 0] @ self.E.t()
        p = lg.softmax(-1)
        li = [self.cm(LANG[l]) for l in grammar.LANGS]
        return [grammar.LANGS[i] for i in lg[:, li].argmax(1)], p[:, self.cm(NOSPEECH)]

    @torch.no_grad()
    def decode(self, xkv, langs, task, ts, max_len=220, prompt=None):
        B = len(langs)
        head = [[*(prompt or []), SOT, LANG[l], task] + ([] if ts else [NOTS]) for l in langs]
        x = torch.tensor([[self.cm(t) for t in h] for h in head])
        past = [[] for _ in self.m.dec]
        seqs, done, lp = [[] for _ in range(B)], [False] * B, [0.0] * B
        for n in range(max_len):
            h, _ = self.m.decode(x, xkv, self.E, past)
            lg = h[:, -1] @ self.E.t() + self.sup
            lg[:, self.cm(NOTS)] = -np.inf
            if n == 0:
                lg[:, self.eot] = -np.inf
                if 220 in self.v.map:
                    lg[:, self.v.map[220]] = -np.inf
            if not ts:
                lg[:, self.ts:] = -np.inf
            else:
                for b, s in enumerate(seqs):
                    last = len(s) >= 1 and s[-1] >= self.ts
                    pen = len(s) < 2 or s[-2] >= self.ts
                    if last:
                        if pen:
                            lg[b, self.ts:] = -np.inf
                        else:
                            keep = lg[b, self.eot].clone()
                            lg[b, : self.ts] = -np.inf
                            lg[b, self.eot] = keep
                    t = [k for k in s if k >= self.ts]
                    if t:
                        lo = t[-1] if last and not pen else t[-1] + 1
                        lg[b, self.ts: lo] = -np.inf
                    if n == 0:
                        lg[b, : self.ts] = -np.inf
                        lg[b, self.ts + 51:] = -np.inf
                q = lg.log_softmax(-1)
                for b in range(B):
                    if q[b, self.ts:].logsumexp(0) > q[b, : self.ts].max():
                        lg[b, : self.ts] = -np.inf
            nxt = lg.argmax(-1)
            q = lg.log_softmax(-1)
            for b in range(B):
                if done[b]:
                    nxt[b] = self.eot
                    continue
                lp[b] += float(q[b, nxt[b]])
                if nxt[b] == self.eot:
                    done[b] = True
                else:
                    seqs[b].append(int(nxt[b]))
            if all(done):
                break
            x = nxt[:, None]
        return [[self.v.back(i) for i in s] for s in seqs], [a / (len(s) + 1) for a, s in zip(lp, seqs)]


def main():
    args = [a for a in sys.argv[1:] if a != "-v"]
    if len(args) not in (2, 3):
        sys.exit(__doc__)
    L, n = float(args[0]), int(args[1])
    d = Decoder(args[2] if len(args) > 2 else "checkpoint/last.pt")
    print("checkpoint step", d.step, "window", L)
    t0 = time.time()
    for setname in ("evalsent", "evalvoice"):
        pool = data.Pool([setname])
        for lang in grammar.LANGS:
            W = windows(pool, L, n, 7, lang)
            xkv = []
            with torch.no_grad():
                xa = torch.cat([d.m.encode(data.log_mel(torch.from_numpy(x[None]))) for x, _, _ in W])
                xkv = d.m.cross(xa)
            lid, ns = d.sot(xkv, n)
            plain = lambda out: [bpe.decode([t for t in o if t < EOT]) for o in out]
            refs = [texts(u, lang) for _, _, u in W]
            res = {}
            out_ts, lp = d.decode(xkv, [lang] * n, TRANSCRIBE, True)
            out_no, lp2 = d.decode(xkv, [lang] * n, TRANSCRIBE, False)
            res["ts"], res["nots"] = rate(refs, plain(out_ts)), rate(refs, plain(out_no))
            if lang != "en":
                for nm, tsm in (("trans", False), ("trans_ts", True)):
                    res[nm] = rate([texts(u, "en") for _, _, u in W], plain(d.decode(xkv, [lang] * n, TRANSLATE, tsm)[0]))
            each = [time_errors(o, u) for o, (_, _, u) in zip(out_ts, W)]
            errs, match = sum(each, []), sum(map(bool, each))
            print(setname, lang, " ".join(f"{k} {100 * v:.1f}%" for k, v in res.items()), f"lid {np.mean([l == lang for l in lid]):.3f}",
                  f"ts mae {np.mean(errs) if errs else -1:.3f} p95 {np.percentile(errs, 95) if errs else -1:.2f} seg match {match}/{n}",
                  f"nospeech max {ns.max():.3f} logprob {np.mean(lp):.2f}/{np.mean(lp2):.2f}", flush=True)
            if n <= 8 or "-v" in sys.argv:
                for k in range(min(2, n)):
                    print("   ref", refs[k][:150])
                    print("   ts ", [(a, b, t) for a, b, t in segments(out_ts[k])][:3])
                    print("   no ", plain(out_no)[k][:150])
    X = without_speech(pool, L, 16)
    with torch.no_grad():
        xkv = d.m.cross(torch.cat([d.m.encode(data.log_mel(torch.from_numpy(x[None]))) for x in X]))
    _, ns = d.sot(xkv, 16)
    print("nospeech windows: detected (p>0.6)", float((ns > 0.6).float().mean()), "min p", float(ns.min()), f"{time.time() - t0:.0f}s")


if __name__ == "__main__":
    main()
