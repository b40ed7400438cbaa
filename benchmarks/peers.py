#!/usr/bin/env python3
"""Times of PyTorch doing the jobs of `alphaform bench` on this CPU, by the names of its cases.

    python3 -m venv peers && peers/bin/pip install torch transformers
    peers/bin/python benchmarks/peers.py --threads 2 -o peers.json
    alphaform bench --threads 2 --peers peers.json

Mamba and whole models are those of transformers, without compiled extensions, and so is the chunked delta rule. The
other layers are the chunked or transformed forms of their papers, written here as plain PyTorch. A job begins at the
same streams as the case of that name and ends at y: projections from the layer's input are not part of it. Numbers are
random; decays are as slow as there.
"""
import argparse
import json
import math
import sys
import time

try:
    import torch
    import torch.nn.functional as F
except ImportError as e:
    sys.exit(f"peers.py: PyTorch cannot be loaded ({e}); 'pip install torch transformers' installs it, and a wheel that "
             "looks for missing NVIDIA libraries can be replaced by a CPU one from https://download.pytorch.org/whl/cpu")


def log_uniform_steps(*shape):
    """Steps between 0.001 and 0.1."""
    return 0.001 * 100 ** torch.rand(*shape)


# ---- layers with a matrix a head, by chunks of tokens; [heads, T, N] queries and keys, [heads, T, C] values

CHUNK = 64


def chunks(x):
    return x.view(x.shape[0], -1, CHUNK, x.shape[-1])


def chunked_by_key_decay(q, k, v, log_decay, bonus=None):
    """S_t = diag(a_t) S_{t-1} + k_t v_t', read after the step, or before it with a bonus for the token itself."""
    q, k, v, g = chunks(q), chunks(k), chunks(v), chunks(log_decay)
    b = g.cumsum(2)
    end = b[:, :, -1:]
    from_start = q * (b.exp() if bonus is None else (b - g).exp())
    scores = from_start @ (k * (-b).exp()).transpose(-1, -2)
    scores = scores.tril(0 if bonus is None else -1)
    y = scores @ v
    if bonus is not None:
        y = y + (q * bonus[:, None, None] * k).sum(-1, keepdim=True) * v
    written = (k * (end - b).exp()).transpose(-1, -2) @ v
    state = torch.zeros_like(written[:, 0])
    parts = []
    for c in range(q.shape[1]):
        parts.append(from_start[:, c] @ state)
        state = end[:, c].exp().transpose(-1, -2) * state + written[:, c]
    return (y + torch.stack(parts, 1)).flatten(1, 2)


def chunked_by_head_decay(q, k, v, log_decay):
    """The same with one decay a head and token, [heads, T]: its differences make a mask of the scores."""
    q, k, v = chunks(q), chunks(k), chunks(v)
    b = log_decay.view(v.shape[0], -1, CHUNK).cumsum(-1)
    later = torch.ones(CHUNK, CHUNK, dtype=torch.bool).tril()
    mask = (b[..., :, None] - b[..., None, :]).masked_fill(~later, -math.inf).exp()
    y = ((q @ k.transpose(-1, -2)) * mask) @ v
    end = b[..., -1:]
    written = (k * (end - b).exp()[..., None]).transpose(-1, -2) @ v
    from_start = q * b.exp()[..., None]
    state = torch.zeros_like(written[:, 0])
    parts = []
    for c in range(v.shape[1]):
        parts.append(from_start[:, c] @ state)
        state = end[:, c].exp()[..., None] * state + written[:, c]
    return (y + torch.stack(parts, 1)).flatten(1, 2)


def rms_normalised(y, over=(-1,)):
    return y * torch.rsqrt(y.square().mean(over, keepdim=True) + 1e-5)


def gla(T):
    H, N, C = 4, 256, 512
    q, k, a, v, g = (torch.randn(H, T, n) for n in (N, N, N, C, C))
    return lambda: F.silu(g) * rms_normalised(chunked_by_key_decay(q * N**-0.5, k, v, F.logsigmoid(a) / 16))


def rwkv6(T):
    H, N = 24, 64
    r, k, v, g = (torch.randn(H, T, N) for _ in range(4))
    w, u = -6 + 5 * torch.rand(H, T, N), 0.1 * torch.randn(H, N)

    def run():
        y = chunked_by_key_decay(r, k, v, -w.exp(), bonus=u)
        return F.silu(g) * F.layer_norm(y, (N,))

    return run


def retnet(T):
    H, N, C = 4, 256, 512
    q, k, v, g = (torch.randn(H, T, n) for n in (N, N, C, C))
    log_gamma = (1 - 2.0 ** (-5 - torch.arange(H))).log()[:, None].expand(H, T)
    frequencies = 10000 ** (-torch.arange(N // 2) / (N // 2))

    def turned(x, cos, sin):
        a, b = x.chunk(2, -1)
        return torch.cat([a * cos - b * sin, b * cos + a * sin], -1)

    def run():
        angle = torch.arange(T)[:, None] * frequencies
        cos, sin = angle.cos(), angle.sin()
        y = chunked_by_head_decay(turned(q, cos, sin) * N**-0.5, turned(k, cos, sin), v, log_gamma)
        return F.silu(g) * rms_normalised(y)

    return run


def filtered(x, taps, bias):
    """A causal filter for each channel of [T, C]."""
    K = taps.shape[-1]
    return F.conv1d(x.T[None], taps[:, None], bias, padding=K - 1, groups=x.shape[-1])[0, :, : x.shape[0]].T


def mamba2(T):
    H, N, C, K = 24, 128, 64, 4
    x, z, b, c, dt = (torch.randn(T, n) for n in (H * C, H * C, N, N, H))
    taps = {n: (torch.randn(n, K) / 2, 0.1 * torch.randn(n)) for n in (H * C, N)}
    bias, A, D = torch.log(torch.expm1(log_uniform_steps(H))), 1 + 15 * torch.rand(H), torch.randn(H)

    def run():
        v = F.silu(filtered(x, *taps[H * C])).view(T, H, C).transpose(0, 1)
        B, C_ = F.silu(filtered(b, *taps[N])), F.silu(filtered(c, *taps[N]))
        step = F.softplus(dt + bias).T
        y = chunked_by_head_decay(C_.expand(H, T, N), B.expand(H, T, N), v * step[..., None], -A[:, None] * step)
        y = (y + D[:, None, None] * v).transpose(0, 1).reshape(T, H * C)
        return rms_normalised(F.silu(z) * y)

    return run


def gated_delta_net(T):
    from transformers.models.qwen3_next.modeling_qwen3_next import torch_chunk_gated_delta_rule as delta_rule

    H, N, C, K = 6, 128, 256, 4
    q, k, v, g = (torch.randn(T, n) for n in (H * N, H * N, H * C, H * C))
    taps = {n: (torch.randn(n, K) / 2, 0.1 * torch.randn(n)) for n in (H * N, H * C)}
    b, a = torch.randn(T, H), torch.randn(T, H)
    bias, A = torch.log(torch.expm1(log_uniform_steps(H))), 1 + 15 * torch.rand(H)

    def run():
        key, query, value = (F.silu(filtered(x, *taps[x.shape[-1]])).view(1, T, H, -1) for x in (k, q, v))
        decay = (-A * F.softplus(a + bias))[None]
        y, _ = delta_rule(query, key, value, decay, b.sigmoid()[None], use_qk_l2norm_in_kernel=True)
        return F.silu(g).view(T, H, C) * rms_normalised(y[0])

    return run


# ---- layers with a state a channel


def scan(a, x):
    """h_t = a_t h_{t-1} + x_t, token by token."""
    y = torch.empty_like(x)
    h = torch.zeros_like(x[0])
    for t in range(x.shape[0]):
        torch.addcmul(x[t], a[t], h, out=y[t])
        h = y[t]
    return y


def griffin(T):
    H, C, K = 16, 128, 4
    x, g = torch.randn(T, H * C), torch.randn(T, H * C)
    taps, bias = torch.randn(H * C, K) / 2, 0.1 * torch.randn(H * C)
    W = [torch.randn(H, C, C) * C**-0.5 for _ in range(2)]
    b = [0.1 * torch.randn(H, 1, C) for _ in range(2)]
    p = -6 + 3 * torch.rand(H * C)

    def run():
        v = filtered(x, taps, bias)
        blocks = v.view(T, H, C).transpose(0, 1)
        r, i = (torch.baddbmm(b_, blocks, W_).sigmoid().transpose(0, 1).reshape(T, H * C) for W_, b_ in zip(W, b))
        log_a = -8 * r * F.softplus(p)
        factor = (-torch.expm1(2 * log_a)).sqrt()
        factor[0] = 1
        return F.gelu(g, approximate="tanh") * scan(log_a.exp(), factor * i * v)

    return run


def hgrn(T):
    C = 2048
    x, f, g = (torch.randn(T, C) for _ in range(3))
    low = 0.8 + 0.19 * torch.rand(C)

    def run():
        gate = low + (1 - low) * f.sigmoid()
        return F.silu(g) * rms_normalised(scan(gate, (1 - gate) * F.silu(x)))

    return run


def hyena(T):
    C, N, K = 768, 64, 3
    x, p, q = (torch.randn(T, C) for _ in range(3))
    taps = [(torch.randn(C, K) / 2, 0.1 * torch.randn(C)) for _ in range(3)]
    z, t = torch.randn(T, N), torch.linspace(0, 1, T)[:, None]
    W, b = [torch.randn(N, N) / 8 for _ in range(3)], [0.1 * torch.randn(N) for _ in range(3)]
    last, deltas, skip = torch.randn(N, C) / 8, torch.linspace(3, 15, C), torch.randn(C)

    def run():
        h = z
        for weight, bias in zip(W, b):
            h = torch.sin(10 * (h @ weight + bias))
        h = (h @ last) * ((-t * deltas).exp() + 0.05)
        x0, x1, v = (filtered(s, *f) for s, f in zip((p, q, x), taps))
        v = x1 * v
        y = torch.fft.irfft(torch.fft.rfft(h, 2 * T, 0) * torch.fft.rfft(v, 2 * T, 0), 2 * T, 0)[:T]
        return x0 * (y + skip * v)

    return run


# ---- Mamba


def mamba_mixer(C, N):
    from transformers import MambaConfig
    from transformers.models.mamba.modeling_mamba import MambaMixer

    mixer = MambaMixer(MambaConfig(hidden_size=C // 2, intermediate_size=C, state_size=N, conv_kernel=4), 0).eval()
    with torch.no_grad():
        mixer.dt_proj.bias.copy_(torch.log(torch.expm1(log_uniform_steps(C))))
    return mixer


def mamba(T):
    C, N = 1536, 16
    mixer = mamba_mixer(C, N)
    mixer.in_proj = mixer.out_proj = torch.nn.Identity()  # from x and z to y
    xz = torch.randn(1, T, 2 * C)
    return lambda: mixer(xz)


def mamba_mean_map(T):
    """The mean over channels of H, from differences of cumulative log decays, in blocks of channels."""
    C, N, block = 1536, 16, 4
    mixer = mamba_mixer(C, N)
    x, z = torch.randn(T, C), torch.randn(T, C)
    taps, bias = mixer.conv1d.weight[:, 0], mixer.conv1d.bias
    K = taps.shape[-1]
    A = -mixer.A_log.exp()
    upper = torch.ones(T, T, dtype=torch.bool).triu(1)  # an exp(-inf) here would be slow, and an exp(inf) wrong

    def run():
        c = filtered(x, taps, bias)
        v = F.silu(c)
        low, B, C_ = mixer.x_proj(v).split([mixer.time_step_rank, N, N], -1)
        delta = F.softplus(mixer.dt_proj(low))
        passed = delta.cumsum(0)
        gate, share = F.silu(z), c.sigmoid()
        read_write = torch.einsum("in,jn->ijn", C_, B)
        mean = torch.zeros(T, T)
        for d in range(0, C, block):
            s = slice(d, d + block)
            between = passed[:, s].T[:, :, None] - passed[:, s].T[:, None, :]
            decay = (between.masked_fill(upper, 0)[..., None] * A[s, None, None]).exp_()
            H = decay.mul_(read_write).sum(-1).tril_() * delta[:, s].T[:, None]
            H.diagonal(dim1=1, dim2=2).add_(mixer.D[s, None])
            H = H * share[:, s].T[:, None] * gate[:, s].T[:, :, None]
            for lag in range(K):
                weighted = (H * taps[s, K - 1 - lag, None, None]).sum(0)
                mean[:, : T - lag] += weighted[:, lag:]
        return mean / C

    return run


def mamba_model(layers, width, vocabulary, T, gradient):
    from transformers import MambaConfig, MambaForCausalLM

    config = MambaConfig(vocab_size=vocabulary, hidden_size=width, num_hidden_layers=layers, state_size=16)
    model = MambaForCausalLM(config).eval()
    ids = (torch.arange(T) * 7919 % vocabulary)[None]
    if not gradient:
        return lambda: model(ids, use_cache=False).logits
    for p in model.parameters():
        p.requires_grad_(False)

    def run():
        with torch.enable_grad():
            embedded = model.get_input_embeddings()(ids).requires_grad_()
            model(inputs_embeds=embedded, use_cache=False).logits[0, -1, 1].backward()
        return embedded.grad

    return run


BIG, TINY = (24, 768, 50280, 512), (4, 64, 4096, 512)
# H x costs PyTorch the same as y
JOBS = [
    (["mamba/output", "mamba/apply"], lambda: mamba(2048)),
    (["mamba/map-256"], lambda: mamba_mean_map(256)),
    (["griffin/output", "griffin/apply"], lambda: griffin(65536)),
    (["hgrn/output", "hgrn/apply"], lambda: hgrn(65536)),
    (["gla/output", "gla/apply"], lambda: gla(4096)),
    (["retnet/output", "retnet/apply"], lambda: retnet(4096)),
    (["mamba2/output", "mamba2/apply"], lambda: mamba2(4096)),
    (["rwkv6/output", "rwkv6/apply"], lambda: rwkv6(4096)),
    (["gated_delta_net/output", "gated_delta_net/apply"], lambda: gated_delta_net(4096)),
    (["hyena/output", "hyena/apply"], lambda: hyena(8192)),
    (["hyena/output-16384", "hyena/apply-16384"], lambda: hyena(16384)),
    (["hyena/output-65536", "hyena/apply-65536"], lambda: hyena(65536)),
    (["model/130m"], lambda: mamba_model(*BIG, gradient=False)),
    (["model/130m-gradient"], lambda: mamba_model(*BIG, gradient=True)),
    (["model/tiny"], lambda: mamba_model(*TINY, gradient=False)),
    (["model/tiny-gradient"], lambda: mamba_model(*TINY, gradient=True)),
]


def shortest(run, within):
    """Seconds of the fastest of several runs after a first one that counts only if it was long."""
    best, spent, runs = math.inf, 0.0, 0
    while runs < 2 or (spent < within and runs < 50):
        start = time.perf_counter()
        run()
        t = time.perf_counter() - start
        best, spent, runs = min(best, t), spent + t, runs + 1
        if spent > 10 * within:
            break
    return best


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", help="cases or groups; all if none is given")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--seconds", type=float, default=2, help="for each job")
    parser.add_argument("-o", "--output", default="peers.json")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.set_flush_denormal(True)
    torch.manual_seed(0)
    by = f"PyTorch {torch.__version__}"
    try:
        import transformers

        transformers.logging.set_verbosity_error()
        by += f", transformers {transformers.__version__}"
    except ImportError as e:
        print(f"transformers cannot be loaded ({e}): Mamba, the delta rule and whole models are left out", file=sys.stderr)
    seconds = {}
    with torch.no_grad():
        for names, prepare in JOBS:
            if options.names and not any(n in options.names or n.split("/")[0] in options.names for n in names):
                continue
            try:
                time_of_job = shortest(prepare(), options.seconds)
            except ImportError as e:
                print(f"{names[0]}: left out ({e})", file=sys.stderr)
                continue
            seconds.update(dict.fromkeys(names, time_of_job))
            print(f"{', '.join(names):<50} {1e3 * time_of_job:10.1f} ms", flush=True)
    with open(options.output, "w") as file:
        json.dump({"by": by, "threads": options.threads, "seconds": seconds}, file, indent=2)
        file.write("\n")


if __name__ == "__main__":
    main()
