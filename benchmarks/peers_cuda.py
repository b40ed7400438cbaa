#!/usr/bin/env python3
"""Times of compiled and Triton kernels for what `alphaform bench --device cuda` times, by the names of its cases.

    pip install torch flash-linear-attention mamba_ssm causal_conv1d transformers    # whichever of them there are
    python benchmarks/peers_cuda.py -o peers.json
    alphaform bench --device cuda --replay --peers peers.json

Each job is timed as it is called, and inside a CUDA graph, where the time to launch it does not count; inputs are
rotated so that no cache holds them; slow ones are timed as called alone, three times. Of several forms of one
recurrence the fastest counts. The file holds the times in a graph at float32, or as called with --as-called; with
--dtype bfloat16, inputs and results have that type.
"""
import argparse
import json
import math
import statistics
import sys
from unittest import mock

try:
    import torch
    import torch.nn.functional as F
except ImportError as e:
    sys.exit(f"peers_cuda.py: PyTorch cannot be loaded ({e}); 'pip install torch' installs it")

CACHED = 256e6  # bytes; more than any cache holds
LONG = 10e-3  # seconds of a run; what a cache holds is read in 0.02 ms, which is no matter then
SLOW = 0.1  # seconds of a run that is timed three times, and in no graph


def normal(*shape, dtype, scale=1.0):
    return (scale * torch.randn(*shape, device="cuda")).to(dtype)


def mamba(T, batch=1, channels=1536, states=16):
    """softplus, scan, skip and gate."""
    import selective_scan_cuda  # what mamba_ssm's selective_scan_fn calls

    def make(dtype):
        u, dt, z = (normal(batch, channels, T, dtype=dtype) for _ in range(3))
        A = -torch.arange(1, states + 1, device="cuda", dtype=torch.float32).repeat(channels, 1)
        B, C = (normal(batch, 1, states, T, dtype=dtype) for _ in range(2))
        D = torch.ones(channels, device="cuda")
        bias = torch.log(torch.expm1(0.001 * 100 ** torch.rand(channels, device="cuda")))
        return lambda: selective_scan_cuda.fwd(u, dt, A, B, C, D, z, bias, True)

    return make


def refuse_all_but_float32(dtype):
    if dtype != torch.float32:
        raise ValueError("float32 alone")


def mamba_mean_map(T, compiled=False, channels=1536, states=16, width=4):
    """The mean over channels of H as a user would write it: differences of cumulative steps, in blocks of channels."""
    block = min(channels, 8 * 2**30 // (4 * T * T * states))  # whose decays take 8 GiB

    def of_block(passed, step, share, gate, A, D, taps, read_write, same):
        """The sum over these channels for each tap, [taps, T, T]."""
        between = (passed[:, :, None] - passed[:, None, :]).clamp_(min=0)
        decay = (between[..., None] * A[:, None, None]).exp_()
        H = decay.mul_(read_write).sum(-1).tril_().mul_(step[:, None])
        H.addcmul_(same, D[:, None, None]).mul_(share[:, None]).mul_(gate[..., None])
        return (taps.T @ H.flatten(1)).unflatten(1, (T, T))

    def make(dtype):
        refuse_all_but_float32(dtype)
        filtered, delta, z = (normal(channels, T, dtype=dtype) for _ in range(3))
        B, C = (normal(T, states, dtype=dtype) for _ in range(2))
        A = -torch.arange(1, states + 1, device="cuda", dtype=dtype).repeat(channels, 1)
        bias = torch.log(torch.expm1(0.001 * 100 ** torch.rand(channels, 1, device="cuda")))
        D, taps = torch.ones(channels, device="cuda"), normal(channels, width, dtype=dtype, scale=0.5)
        same = torch.eye(T, device="cuda")
        sum_of = torch.compile(of_block) if compiled else of_block

        def run():
            step = F.softplus(delta + bias)
            by_channel = step.cumsum(1), step, filtered.sigmoid(), F.silu(z), A, D, taps
            read_write = C[:, None] * B
            by_tap = 0
            for blocks in zip(*(x.split(block) for x in by_channel)):
                by_tap = by_tap + sum_of(*blocks, read_write, same)
            mean = by_tap[width - 1]
            for lag in range(1, width):
                mean[:, : T - lag] += by_tap[width - 1 - lag, :, lag:]
            return mean / channels

        return run

    return make


def product_by_steps(decay, token):
    """Of the decays after a token, factor by factor from the last."""
    product = torch.ones_like(decay[:, 0])
    for t in range(decay.shape[1] - 1, token, -1):
        product = product * decay[:, t]
    return product


def product_by_cumprod(decay, token):
    """Of the decays after a token, the last of all their products."""
    later = decay[:, token + 1 :]
    return torch.cumprod(later, 1)[:, -1] if later.shape[1] else torch.ones_like(decay[:, 0])


def mamba_row(T, product, channels=1536, states=16, width=4):
    """The last row of every channel, by the operations of the paper's released code; it leaves the skip out.

    For each token the decays after it are multiplied anew: by steps for language, by cumprod for images.
    """

    def make(dtype):
        refuse_all_but_float32(dtype)
        filtered, delta, z = (normal(1, channels, T, dtype=dtype) for _ in range(3))
        B, C = (normal(1, 1, states, T, dtype=dtype) for _ in range(2))
        A = -torch.arange(1, states + 1, device="cuda", dtype=dtype).repeat(channels, 1)
        bias = torch.log(torch.expm1(0.001 * 100 ** torch.rand(channels, 1, device="cuda")))
        taps = normal(channels, 1, width, dtype=dtype, scale=0.5)

        def run():
            step = F.softplus(delta + bias)
            decay = torch.einsum("bdt,dn->btdn", step, A).exp()
            write = torch.einsum("bdt,bnt->btdn", step, B[:, 0])
            row = torch.zeros_like(step)
            for token in range(T):
                row[..., token] = (C[..., -1] * product(decay, token) * write[:, token]).sum(-1)
            shared = F.pad(row * filtered.sigmoid(), (0, width - 1))
            return F.silu(z[..., -1:]) * F.conv1d(shared, taps.flip(-1), groups=channels)

        return run

    return make


def hgrn(T, channels=2048):
    from fla.ops.hgrn import chunk_hgrn, fused_recurrent_hgrn

    def of(op):
        def make(dtype):
            x, g = normal(1, T, channels, dtype=dtype), F.logsigmoid(normal(1, T, channels, dtype=dtype) + 3)
            return lambda: op(x, g)

        return make

    return [of(chunk_hgrn), of(fused_recurrent_hgrn)]


def heads(T, H, N, C, op, log_decay):
    """op(q, k, v, log decays), which are of every key, of every head, or none."""

    def make(dtype):
        q, k = (normal(1, T, H, N, dtype=dtype, scale=N**-0.5) for _ in range(2))
        v = normal(1, T, H, C, dtype=dtype)
        g = {"key": (1, T, H, N), "head": (1, T, H), "": None}[log_decay]
        if g is None:
            return lambda: op(q, k, v)
        g = F.logsigmoid(torch.randn(*g, device="cuda") + 3).to(dtype if log_decay == "key" else torch.float32)
        return lambda: op(q, k, v, g)

    return make


def gla(T):
    from fla.ops.gla import chunk_gla

    return heads(T, 4, 256, 512, lambda q, k, v, g: chunk_gla(q, k, v, g), "key")


def retnet(T):
    from fla.ops.retention import chunk_retention

    return heads(T, 4, 256, 512, chunk_retention, "")


def ssd(T):
    from fla.ops.simple_gla import chunk_simple_gla

    return heads(T, 24, 128, 64, lambda q, k, v, g: chunk_simple_gla(q, k, v, g), "head")


def rwkv6(T):
    from fla.ops.rwkv6 import chunk_rwkv6

    def make(dtype):
        u = normal(24, 64, dtype=dtype)
        return heads(T, 24, 64, 64, lambda q, k, v, g: chunk_rwkv6(q, k, v, g, u), "key")(dtype)

    return make


def delta(T, H, N, C, log_decay, op):
    """op(q, k, v, log decays, keys of length 1, strengths of a head), of which each peer takes some."""

    def make(dtype):
        q, k = (normal(1, T, H, N, dtype=dtype, scale=N**-0.5) for _ in range(2))
        v = normal(1, T, H, C, dtype=dtype)
        kk = F.normalize(normal(1, T, H, N, dtype=torch.float32), dim=-1).to(dtype)
        strength = torch.rand(1, T, H, device="cuda").to(dtype)
        g = -0.6 * torch.rand(*((1, T, H, N) if log_decay == "key" else (1, T, H)), device="cuda")
        g = g.to(dtype if log_decay == "key" else torch.float32)
        return lambda: op(q, k, v, g, kk, strength)

    return make


def rwkv7(T):
    from fla.ops.rwkv7 import chunk_rwkv7

    return delta(T, 24, 64, 64, "key", lambda q, k, v, g, kk, _: chunk_rwkv7(q, g, k, v, -kk, kk))


def gated_delta(T):
    from fla.ops.gated_delta_rule import chunk_gated_delta_rule

    return delta(T, 24, 64, 64, "head", lambda q, k, v, g, kk, b: chunk_gated_delta_rule(q, kk, v, g, b))


def runs_compiled_kernels(run):
    """Whether it calls the compiled scan and filter, without which transformers goes through the tokens in Python."""
    try:
        import causal_conv1d_cuda
        import selective_scan_cuda
    except ImportError:
        return False
    called = [(selective_scan_cuda, "fwd"), (causal_conv1d_cuda, "causal_conv1d_fwd")]
    spies = [mock.patch.object(module, name, wraps=getattr(module, name)) for module, name in called]
    with spies[0] as scan, spies[1] as causal_filter:
        run()
    return scan.called and causal_filter.called


def mamba_model(T, gradient=False):
    """A Mamba 130m with random weights; by compiled kernels where they are there, which is said.

    Every logit, or the gradient of one logit of the last token with respect to the embeddings.
    """
    from transformers import MambaConfig, MambaForCausalLM

    config = MambaConfig(vocab_size=50280, hidden_size=768, num_hidden_layers=24, state_size=16)

    def of(training):  # a mixer is one call then; nothing is left out at random
        def make(dtype):
            model = MambaForCausalLM(config).to("cuda", dtype).train(training).requires_grad_(False)
            ids = torch.randint(50280, (1, T), device="cuda")
            by = "by compiled kernels" if runs_compiled_kernels(lambda: model(ids[:, :8], use_cache=False)) else (
                "WITHOUT compiled kernels, token by token in Python")
            print(f"Mamba 130m of transformers, mixers {'in one call' if training else 'in parts'}: {by}", flush=True)

            def backwards():
                with torch.enable_grad():
                    embedded = model.backbone.embeddings(ids).detach().requires_grad_()
                    last = model.backbone(inputs_embeds=embedded, use_cache=False).last_hidden_state[:, -1]
                    return torch.autograd.grad(model.lm_head(last.to(dtype))[0, 1], embedded)

            return backwards if gradient else lambda: model(ids, use_cache=False).logits

        return make

    return [of(training=False), of(training=True)]


JOBS = [
    ("mamba-core/apply", lambda: [mamba(2048)]),
    ("mamba-core/apply-65536", lambda: [mamba(65536)]),
    ("mamba-core/apply-batch", lambda: [mamba(2048, batch=8)]),
    ("mamba/map", lambda: [mamba_mean_map(1024)]),
    ("mamba/map-compiled", lambda: [mamba_mean_map(1024, compiled=True)]),
    ("mamba/row", lambda: [mamba_row(2048, product_by_cumprod)]),
    ("mamba/row-1024", lambda: [mamba_row(1024, product_by_cumprod)]),
    ("mamba/row-1024-by-steps", lambda: [mamba_row(1024, product_by_steps)]),
    ("hgrn-core/apply", lambda: hgrn(65536)),
    ("hgrn-core/apply-2048", lambda: hgrn(2048)),
    ("model/130m-2048", lambda: mamba_model(2048)),
    ("model/130m-2048-gradient", lambda: mamba_model(2048, gradient=True)),
] + [
    (f"{group}/apply{suffix}", lambda of=of, T=T: [of(T)])
    for suffix, T in (("", 4096), ("-2048", 2048), ("-16384", 16384))
    for group, of in (
        ("gla-core", gla),
        ("retnet-core", retnet),
        ("ssd", ssd),
        ("rwkv6-core", rwkv6),
        ("rwkv7-core", rwkv7),
        ("gated-delta-core", gated_delta),
    )
]


def seconds_of(run, times=1):
    """Of one run, the mean of so many behind each other."""
    start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    start.record()
    for _ in range(times):
        run()
    end.record()
    torch.cuda.synchronize()
    return 1e-3 * start.elapsed_time(end) / times


def median_seconds(run, times=20):
    """Of so many measurements, each of a few runs behind each other."""
    for _ in range(3):
        run()
    torch.cuda.synchronize()
    together = max(1, math.ceil(2e-3 / max(seconds_of(run), 1e-6)))
    return statistics.median_high(seconds_of(run, together) for _ in range(times))


def timed(make, dtype):
    """Seconds as called, and in a CUDA graph, which is infinity for a slow job."""
    before = torch.cuda.memory_allocated()
    jobs = [make(dtype)]
    each = max(torch.cuda.memory_allocated() - before, 1)
    jobs[0]()  # compiles it, where that is due
    torch.cuda.synchronize()
    once = seconds_of(jobs[0])
    if once > SLOW:
        return statistics.median([once, seconds_of(jobs[0]), seconds_of(jobs[0])]), math.inf
    if once < LONG:
        jobs += [make(dtype) for _ in range(min(8, math.ceil(CACHED / each)) - 1)]

    def run():
        for job in jobs:
            job()

    called = median_seconds(run) / len(jobs)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        run()
    return called, median_seconds(graph.replay) / len(jobs)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", help="cases or groups; all if none is given")
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--as-called", action="store_true", help="write these times to the file")
    parser.add_argument("-o", "--output", default="peers.json")
    options = parser.parse_args()
    torch.manual_seed(0)
    seconds = {}
    with torch.no_grad():
        for name, prepare in JOBS:
            if options.names and name not in options.names and name.split("/")[0] not in options.names:
                continue
            try:
                both = [timed(make, getattr(torch, options.dtype)) for make in prepare()]
            except Exception as e:  # a peer that is absent, or refuses the job: said, and left out
                print(f"{name}: left out ({type(e).__name__}: {str(e).splitlines()[0] if str(e) else ''})", file=sys.stderr)
                continue
            called, in_graph = (min(times) for times in zip(*both))
            slow = math.isinf(in_graph)
            seconds[name] = called if options.as_called or slow else in_graph
            print(f"{name:<28} {options.dtype:<9} as called {1e3 * called:9.4f} ms, "
                  + ("too slow for a graph" if slow else f"in a graph {1e3 * in_graph:9.4f} ms"), flush=True)
    by = f"PyTorch {torch.__version__} on {torch.cuda.get_device_name()}, {options.dtype}"
    with open(options.output, "w") as file:
        json.dump({"by": by, "threads": 1, "seconds": seconds}, file, indent=2)
        file.write("\n")


if __name__ == "__main__":
    main()
