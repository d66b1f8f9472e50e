"""Trains, and continues from checkpoint/last.pt where there is one. What to do at which step is said in schedule.json (README.md, "Schedule").

    python3 train.py [--device cpu|cuda] [--workers N] [--start CHECKPOINT] [--schedule FILE]

--workers N makes the batches in N processes beside this one: needed on a GPU, of no use on a CPU. --start begins a schedule anew from
a checkpoint's network and optimisers. SIGTERM ends training after the step, saved. The schedule is read again every ten steps: edit it
while training runs. train.sh starts one process a core: each makes its share of every batch and holds the whole network, and gradients are
averaged over them (gloo).
"""
import argparse, json, os, random, signal, time
import torch, torch.nn.functional as F
import torch.distributed as dist
import data, model as M

rank, world = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD", 1))
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


def read_schedule(path, before=None):
    try:
        return json.load(open(path))
    except ValueError:  # being edited
        return before


def draw(phase, step):
    """-> window length, windows a process, position of the window in the 30 s, length of the prompts: the same in all processes, so that
    none waits for another, and in all windows of a batch, so that little is padding."""
    r = random.Random(step)
    L = r.choice(phase["L"])
    offset = r.randrange(0, int(1500 - L * 50) + 1) if r.random() < phase["p_offset"] else 0
    prompt = 0 if r.random() >= phase["p_prompt"] else phase["max_prompt"] if r.random() < 0.6 else r.randint(8, phase["max_prompt"])
    return L, max(1, int(phase["seconds"] / L / world)), offset, prompt


class Batches(torch.utils.data.IterableDataset):
    """(step, what draw() gave for it, batch) from `step` on. Worker k of n makes every n-th."""

    def __init__(self, schedule, pool, vocab, phones, step):
        self.schedule, self.pool, self.vocab, self.phones, self.step = schedule, pool, vocab, phones, step

    def __iter__(self):
        info = torch.utils.data.get_worker_info()
        k, n = (info.id, info.num_workers) if info else (0, 1)
        step, schedule = self.step + k, None
        while True:
            if schedule is None or step % 10 < n:
                schedule = read_schedule(self.schedule, schedule)
            now = phase_at(schedule, step)
            if now is None:
                return
            drawn = L, B, offset, prompt = draw(now[0], step)
            yield step, drawn, data.batch(self.pool, self.vocab, self.phones, random.Random(f"{step} {rank}"), B, L, now[0], offset, prompt)
            step += n


def log(*a):
    if rank == 0:
        print(*a, flush=True)


class CrossEntropy(torch.autograd.Function):
    """Of logits [N, V] against a few weighted tokens each, [N, K]; the weights of a row make 1. In two passes over the logits."""

    @staticmethod
    def forward(ctx, logits, tokens, weights):
        lse = logits.logsumexp(1)
        ctx.save_for_backward(logits, lse, tokens, weights)
        return lse - (logits.gather(1, tokens) * weights).sum(1)

    @staticmethod
    def backward(ctx, g):
        logits, lse, tokens, weights = ctx.saved_tensors
        p = (logits - lse[:, None]).exp_()
        return p.scatter_add_(1, tokens, -weights).mul_(g[:, None]), None, None


def soft_targets(t, ts0, sigma):
    """Token ids [N] -> ids and weights [N, 9]: a timestamp shares its weight with its neighbours in a bell of `sigma` tokens."""
    k = torch.arange(-4, 5, device=t.device)
    is_ts = (t >= ts0)[:, None]
    ids = t[:, None] + k * is_ts
    w = torch.where(is_ts, torch.exp(-0.5 * (k / sigma) ** 2) * ((ids >= ts0) & (ids <= ts0 + 1500)), (k == 0).float())
    return torch.where(w > 0, ids, t[:, None]), w / w.sum(1, keepdim=True)


def token_loss(m, h, E, tgt, sigma):
    """-> mean loss, share of right text tokens, mean error of timestamps in seconds"""
    keep = tgt >= 0
    t, ts0 = tgt[keep], m.emb.shape[0] + 1
    logits = (h[keep] @ E.t()).float()
    loss = CrossEntropy.apply(logits, *soft_targets(t, ts0, sigma)).mean()
    with torch.no_grad():
        is_ts = t >= ts0
        right = (logits.argmax(1) == t)[~is_ts].float().mean()
        error = (logits[is_ts][:, ts0:].argmax(1) - (t[is_ts] - ts0)).abs().float().mean() * 0.02
    return loss, right, error


def spoken_token_loss(aux, xa, tk):
    """The token in each frame; of every third frame, for speed."""
    o = random.randrange(3)
    x, t = xa[:, o::3], tk[:, o::3]
    return F.cross_entropy(aux(x[t >= 0]).float(), t[t >= 0])


def alignment_loss(ps, span):
    """Pulls the heads [0, 0] (at the token that goes in), [1, 0] and [2, 0] (at the token that comes out) to where it is spoken."""
    f = torch.arange(ps[0].shape[-1], device=span.device)
    total = 0.0
    for p, which in zip(ps, (1, 0, 0)):
        lo, hi = span[which][..., 0], span[which][..., 1]
        g = hi > 0
        inside = (f >= lo[g][:, None]) & (f < hi[g][:, None])
        total = total - ((p[g] * inside).sum(-1) + 1e-5).log().mean()
    return total / len(ps)


def losses(m, aux, b, s, offset, step):
    """-> loss, what to log. The alignment loss is taken every `al_every` steps."""
    audio, ids, tgt, span, ph, tk = b
    align = s["w_al"] > 0 and step % s.get("al_every", 1) == 0
    xa = m.encode(data.log_mel(audio), offset)
    E = m.table()
    h, ps = m.decode(ids, m.cross(xa), E, probs=align)
    loss, right, error = token_loss(m, h, E, tgt, s["sigma"])
    parts = dict(ce=loss, acc=right, ts=error)
    for name, weight, value in (("ph", s["w_ph"], lambda: F.cross_entropy(m.phone(xa).float().flatten(0, 1), ph.flatten(), ignore_index=-100)),
                                ("tok", s["w_tok"], lambda: spoken_token_loss(aux, xa, tk)),
                                ("al", s["w_al"] * align, lambda: alignment_loss(ps, span))):
        if weight:
            parts[name] = value()
            loss = loss + weight * parts[name]
    return loss, {k: float(v.detach()) for k, v in parts.items()}


def from_first(x):
    """What the first process has, in all of them."""
    box = [x]
    if world > 1:
        dist.broadcast_object_list(box)
    return box[0]


def average_gradients(params):
    flat = torch.cat([(p.grad if p.grad is not None else torch.zeros_like(p)).flatten() for p in params])
    dist.all_reduce(flat)
    flat /= world
    for p, g in zip(params, flat.split([p.numel() for p in params])):
        p.grad = g.view_as(p)


def restore(m, opt, aux, opt_aux, c):
    """The weights of a checkpoint, and the optimisers' state where it has that (nano-weights.pt has not)."""
    m.load_state_dict({k: v for k, v in c["model"].items() if k != "mask"})
    aux.load_state_dict(c["aux"])
    if "opt" not in c:
        return
    for o, state in ((opt, c["opt"]), (opt_aux, c["opt_aux"])):
        fused = o.defaults.get("fused")
        o.load_state_dict(state)
        for g in o.param_groups:
            g.update(fused=fused, foreach=None)


def save(m, opt, aux, opt_aux, step, spent, vocab, ph):
    torch.save(dict(model=m.state_dict(), aux=aux.state_dict(), opt_aux=opt_aux.state_dict(), opt=opt.state_dict(), step=step,
                    spent=spent, vocab=vocab.ids, phones=ph.names), CHECKPOINT + ".tmp")
    os.replace(CHECKPOINT + ".tmp", CHECKPOINT)
    log("saved", step)


def arguments():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--device", default="cpu")
    a.add_argument("--workers", type=int, default=0)
    a.add_argument("--start")
    a.add_argument("--schedule", default="schedule.json")
    return a.parse_args()


def main():
    args = arguments()
    if args.device == "cpu":
        torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", 1)))
    os.makedirs("checkpoint", exist_ok=True)
    if world > 1:
        dist.init_process_group("gloo", init_method="tcp://127.0.0.1:29511", rank=rank, world_size=world)
    schedule = read_schedule(args.schedule)
    pool = data.Pool(schedule["shards"])
    path = CHECKPOINT if os.path.exists(CHECKPOINT) else args.start
    c = torch.load(path, map_location="cpu") if path else None
    vocab, ph = (data.Vocab(c["vocab"]), data.Phones(c["phones"])) if c else (data.Vocab(), data.Phones.build(pool.clips))
    torch.manual_seed(0)
    m = M.Whisper(vocab.n, len(ph.names)).to(args.device).train()
    aux = torch.nn.Linear(M.D, vocab.n).to(args.device)  # frame -> token, auxiliary, not exported
    weights, others = [p for p in m.parameters() if p.ndim >= 2], [p for p in m.parameters() if p.ndim < 2]
    modern = hasattr(F, "scaled_dot_product_attention")  # torch 2.0 and later: bfloat16 for the matrix products pays, optimisers can be fused
    adam = lambda groups: torch.optim.AdamW(groups, lr=1e-3, betas=(0.9, 0.98), **dict(fused=True) if modern else {})
    opt = adam([dict(params=weights, weight_decay=0.01), dict(params=others, weight_decay=0.0)])
    opt_aux = adam(aux.parameters())
    if c:
        restore(m, opt, aux, opt_aux, c)
    step, spent = (c["step"], c["spent"]) if path == CHECKPOINT else (0, 0.0)
    log("used tokens", vocab.n, "phones", len(ph.names), "params", sum(p.numel() for p in m.parameters()), "clips", len(pool.clips), "from", path, "step", step)
    params = [*m.parameters(), *aux.parameters()]
    loader = torch.utils.data.DataLoader(Batches(args.schedule, pool, vocab, ph, step), batch_size=None, num_workers=args.workers, pin_memory=args.device != "cpu",
                                         **dict(prefetch_factor=4) if args.workers else {})
    begun = t_save = t_log = time.time()
    before, avg, waited, t0, ended = spent, {}, 0.0, time.time(), []
    signal.signal(signal.SIGTERM, lambda *a: ended.append(1))
    for step, (L, B, offset, prompt), b in loader:
        if step % 10 == 0:
            schedule = from_first(read_schedule(args.schedule, schedule))
        now = phase_at(schedule, step)
        if now is None:
            break
        s, f = now
        waited += time.time() - t0
        lr = (s["lr"][0] + (s["lr"][1] - s["lr"][0]) * f) * min(1.0, (step + 1) / 100)
        for g in opt.param_groups + opt_aux.param_groups:
            g["lr"] = lr
        b = [x.to(args.device, non_blocking=True) for x in b]
        with torch.autocast(args.device, torch.bfloat16, enabled=modern):
            total, info = losses(m, aux, b, s, offset, step)
        for p in params:
            p.grad = None
        total.backward()
        if world > 1:
            average_gradients(params)
        norm = torch.nn.utils.clip_grad_norm_(params, 5.0)
        step += 1
        if not torch.isfinite(norm):
            log("skipped", step, info, [n for n, p in m.named_parameters() if p.grad is not None and not torch.isfinite(p.grad).all()])
        else:
            opt.step()
            opt_aux.step()
            m.fix()
        for k, v in dict(info, norm=float(norm)).items():
            if v != v:  # of nothing: a batch without timestamps
                continue
            avg[k] = 0.95 * avg.get(k, v) + 0.05 * v
        spent = before + time.time() - begun
        if step % 20 == 0:
            log(f"step {step} spent {spent:.0f} L {L} B {B} prompt {prompt} lr {lr:.2e}", *(f"{k} {v:.3f}" for k, v in avg.items()),
                f"s/step {(time.time() - t_log) / 20:.2f} data {waited / 20:.2f}")
            t_log, waited = time.time(), 0.0
        if ended:
            break
        if rank == 0 and time.time() - t_save > SAVE_EVERY:
            save(m, opt, aux, opt_aux, step, spent, vocab, ph)
            t_save = time.time()
        t0 = time.time()
    if rank == 0:
        save(m, opt, aux, opt_aux, step, spent, vocab, ph)


if __name__ == "__main__":
    main()
