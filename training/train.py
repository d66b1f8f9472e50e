"""Trains, and continues from checkpoint/last.pt where there is one. Start it with train.sh, which sets RANK and WORLD.

Every rank makes its share of each batch and holds the whole network; gradients are averaged over the ranks (gloo). The
phases come from schedule.json, which is read again every ten steps: edit it while training runs.
"""
import json, os, random, time
import numpy as np
import torch, torch.nn.functional as F
import torch.distributed as dist
import data, model as M

rank, world = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD", 1))
torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", 1)))
CHECKPOINT = "checkpoint/last.pt"  # network, auxiliary heads, both optimisers' state, step
SAVE_EVERY = 240  # seconds


def phase_at(schedule, step):
    """-> the phase of a step, how far it is through it (0 to 1); None after the last one."""
    begin = 0
    for phase in schedule["phases"]:
        if step < phase["until"]:
            return phase, (step - begin) / (phase["until"] - begin)
        begin = phase["until"]
    return None


def log(*a):
    if rank == 0:
        print(*a, flush=True)


def losses(m, aux, b, w_ph, w_al, w_tok, offset, sigma):
    mel, ids, tgt, span, ph, tk = b
    B, T = ids.shape
    xa = m.encode(mel, offset)
    E = m.table()
    h, ps = m.decode(ids, m.cross(xa), E)
    keep = tgt >= 0
    logp = (h[keep] @ E.t()).log_softmax(-1)
    t = tgt[keep]
    ts0 = m.emb.shape[0] + 1
    is_ts = t >= ts0
    nll = -logp.gather(1, t[:, None])[:, 0]
    if is_ts.any():
        k = torch.arange(-4, 5)
        w = torch.exp(-0.5 * (k / sigma) ** 2)
        j = (t[is_ts] - ts0)[:, None] + k
        ok = (j >= 0) & (j <= 1500)
        w = w * ok
        w = w / w.sum(1, keepdim=True)
        soft = -(logp[is_ts].gather(1, j.clamp(0, 1500) + ts0) * w).sum(1)
        nll = torch.cat([nll[~is_ts], soft])
    ce = nll.mean()
    with torch.no_grad():
        hit = logp.argmax(1) == t
        acc_text = hit[~is_ts].float().mean()
        tt = logp[is_ts][:, ts0:].argmax(1) if is_ts.any() else None
        ts_err = (tt - (t[is_ts] - ts0)).abs().float().mean() * 0.02 if tt is not None else torch.tensor(0.0)
    x = m.phone(xa)
    lp = F.cross_entropy(x.view(-1, x.shape[-1]), ph.view(-1), ignore_index=-100) if w_ph > 0 else torch.tensor(0.0)
    lt = torch.tensor(0.0)
    if w_tok > 0:
        sel = torch.zeros_like(tk, dtype=torch.bool)
        o = random.randrange(3)
        sel[:, o::3] = True
        sel &= tk >= 0
        lt = F.cross_entropy(aux(xa[sel]), tk[sel])
    la = 0.0
    if w_al > 0:
        S = xa.shape[1]
        f = torch.arange(S)
        for layer, which in ((0, 1), (1, 0), (2, 0)):
            p = ps[layer].view(B, M.HEADS, T, S)[:, 0]
            lo, hi = span[which][..., 0], span[which][..., 1]
            g = hi > 0
            inside = (f >= lo[g][:, None]) & (f < hi[g][:, None])
            la = la - ((p[g] * inside).sum(-1) + 1e-5).log().mean()
        la = la / 3
    tot = ce + w_ph * lp + w_al * la + w_tok * lt
    return tot, [float(z) for z in (ce, lp, la, acc_text, ts_err, lt)]


def main():
    os.makedirs("checkpoint", exist_ok=True)
    if world > 1:
        dist.init_process_group("gloo", init_method="tcp://127.0.0.1:29511", rank=rank, world_size=world)
    sched = json.load(open("schedule.json"))
    pool = data.Pool(sched["shards"])
    if os.path.exists(CHECKPOINT):
        c = torch.load(CHECKPOINT)
        vocab, ph = data.Vocab(c["vocab"]), data.Phones(c["phones"])
    else:
        c, vocab, ph = None, data.Vocab(), data.Phones.build(pool.clips)
    torch.manual_seed(0)
    m = M.Whisper(vocab.n, len(ph.names))
    m.train()
    aux = torch.nn.Linear(M.D, vocab.n)  # frame -> token, auxiliary, not exported
    dec = [p for p in m.parameters() if p.ndim >= 2]
    nod = [p for p in m.parameters() if p.ndim < 2]
    opt = torch.optim.AdamW([dict(params=dec, weight_decay=0.01), dict(params=nod, weight_decay=0.0)], lr=1e-3, betas=(0.9, 0.98))
    opt_aux = torch.optim.AdamW(aux.parameters(), lr=1e-3, betas=(0.9, 0.98))
    step, spent = 0, 0.0
    if c:
        m.load_state_dict(c["model"])
        opt.load_state_dict(c["opt"])
        step, spent = c["step"], c["spent"]
        if "aux" in c:
            aux.load_state_dict(c["aux"])
            opt_aux.load_state_dict(c["opt_aux"])
    log("used tokens", vocab.n, "phones", len(ph.names), "params", sum(p.numel() for p in m.parameters()), "clips", len(pool.clips), "resume", step)
    r = random.Random(1000 * step + rank)
    t_save = t_log = time.time()
    avg = None
    params = [*m.parameters(), *aux.parameters()]
    while True:
        if step % 10 == 0:
            try:
                sched = json.load(open("schedule.json"))
            except ValueError:
                pass
        now = phase_at(sched, step)
        if now is None:
            break
        s, f = now
        t0 = time.time()
        rr = random.Random(step)  # shared by the ranks
        L = rr.choice(s["L"])
        B = max(1, int(s["seconds"] / L / world))
        off = rr.randrange(0, int(1500 - L * 50) + 1) if rr.random() < s["p_offset"] else 0
        lr = s["lr"][0] + (s["lr"][1] - s["lr"][0]) * f
        lr *= min(1.0, (step + 1) / 100)
        for g in opt.param_groups + opt_aux.param_groups:
            g["lr"] = lr
        b = data.batch(pool, vocab, ph, r, B, L, off, s["p_prompt"], s["max_prompt"])
        t1 = time.time()
        tot, info = losses(m, aux, b, s["w_ph"], s["w_al"], s["w_tok"], off, s["sigma"])
        opt.zero_grad(set_to_none=True)
        opt_aux.zero_grad(set_to_none=True)
        tot.backward()
        if world > 1:
            flat = torch.cat([(p.grad if p.grad is not None else torch.zeros_like(p)).flatten() for p in params])
            dist.all_reduce(flat)
            flat /= world
            i = 0
            for p in params:
                p.grad = flat[i: i + p.numel()].view_as(p).clone()
                i += p.numel()
        bad = [n for n, p in m.named_parameters() if p.grad is not None and not torch.isfinite(p.grad).all()]
        gmax = sorted(((float(p.grad.abs().max()), n) for n, p in m.named_parameters() if p.grad is not None), reverse=True)[:5]
        gn = torch.nn.utils.clip_grad_norm_(params, 5.0)
        if bad or not torch.isfinite(gn):
            log("skipped", step, bad, info, float(gn), gmax)
            step += 1
            continue
        opt.step()
        opt_aux.step()
        m.fix()
        step += 1
        spent += time.time() - t0
        info.append(float(gn))
        avg = info if avg is None else [0.9 * a + 0.1 * q for a, q in zip(avg, info)]
        if step % 20 == 0:
            log(f"step {step} spent {spent:.0f} L {L} B {B} lr {lr:.2e} ce {avg[0]:.3f} ph {avg[1]:.3f} al {avg[2]:.3f} acc {avg[3]:.3f} ts {avg[4]:.2f} tok {avg[5]:.3f} gn {avg[6]:.2f} "
                f"s/step {(time.time() - t_log) / 20:.2f} data {t1 - t0:.2f}")
            t_log = time.time()
        if rank == 0 and (time.time() - t_save > SAVE_EVERY):
            save(m, opt, aux, opt_aux, step, spent, vocab, ph)
            t_save = time.time()
    if rank == 0:
        save(m, opt, aux, opt_aux, step, spent, vocab, ph)


def save(m, opt, aux, opt_aux, step, spent, vocab, ph):
    torch.save(dict(model=m.state_dict(), aux=aux.state_dict(), opt_aux=opt_aux.state_dict(), opt=opt.state_dict(), step=step,
                    spent=spent, vocab=vocab.ids, phones=ph.names), CHECKPOINT + ".tmp")
    os.replace(CHECKPOINT + ".tmp", CHECKPOINT)
    log("saved", step)


if __name__ == "__main__":
    main()
