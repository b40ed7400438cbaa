#!/usr/bin/env python3
"""Times of compiled and Triton kernels for what `alphaform bench --device cuda` times, by the names of its cases.

    pip install torch flash-linear-attention mamba_ssm causal_conv1d transformers    # whichever of them there are
    python benchmarks/peers_cuda.py -o peers.json
    alphaform bench --device cuda --replay --peers peers.json

Each job is timed as it is called, and inside a CUDA graph, where the time to launch it does not count; inputs are
rotated so that no cache holds them. Of several forms of one recurrence the fastest counts. The file holds the times in
a graph at float32, or as called with --as-called; with --dtype bfloat16, inputs and results have that type.
"""
import argparse
import json
import math
import sys

try:
    import torch
    import torch.nn.functional as F
except ImportError as e:
    sys.exit(f"peers_cuda.py: PyTorch cannot be loaded ({e}); 'pip install torch' installs it")

CACHED = 256e6  # bytes; more than any cache holds


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


def mamba_model(T):
    """A Mamba 130m with random weights, every logit; by compiled kernels where mamba_ssm and causal_conv1d are there."""
    from transformers import MambaConfig, MambaForCausalLM

    config = MambaConfig(vocab_size=50280, hidden_size=768, num_hidden_layers=24, state_size=16)

    def make(dtype):
        model = MambaForCausalLM(config).to("cuda", dtype).eval()
        ids = torch.randint(50280, (1, T), device="cuda")
        return lambda: model(ids, use_cache=False).logits

    return make


JOBS = [
    ("mamba-core/apply", lambda: [mamba(2048)]),
    ("mamba-core/apply-65536", lambda: [mamba(65536)]),
    ("mamba-core/apply-batch", lambda: [mamba(2048, batch=8)]),
    ("hgrn-core/apply", lambda: hgrn(65536)),
    ("hgrn-core/apply-2048", lambda: hgrn(2048)),
    ("model/130m-2048", lambda: [mamba_model(2048)]),
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


def median_seconds(run, times=20):
    """Of so many measurements, each of a few runs behind each other."""
    for _ in range(3):
        run()
    torch.cuda.synchronize()
    start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    start.record()
    run()
    end.record()
    torch.cuda.synchronize()
    together = max(1, math.ceil(2 / max(start.elapsed_time(end), 1e-3)))
    found = []
    for _ in range(times):
        start.record()
        for _ in range(together):
            run()
        end.record()
        torch.cuda.synchronize()
        found.append(start.elapsed_time(end) / together)
    return sorted(found)[len(found) // 2] * 1e-3


def timed(make, dtype):
    """Seconds as called, and in a CUDA graph."""
    before = torch.cuda.memory_allocated()
    jobs = [make(dtype)]
    each = max(torch.cuda.memory_allocated() - before, 1)
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
            seconds[name] = called if options.as_called else in_graph
            print(f"{name:<28} {options.dtype:<9} as called {1e3 * called:9.4f} ms, in a graph {1e3 * in_graph:9.4f} ms",
                  flush=True)
    by = f"PyTorch {torch.__version__} on {torch.cuda.get_device_name()}, {options.dtype}"
    with open(options.output, "w") as file:
        json.dump({"by": by, "threads": 1, "seconds": seconds}, file, indent=2)
        file.write("\n")


if __name__ == "__main__":
    main()
