"""More devices: what they cost on this machine, what they send each other, and an estimate of TPU slices from that.

    python -m benchmarks.scaling --write=docs      # --cases=wgan_gp_64 --steps=5

JAX fixes the number of devices at its start, so each number is a process of its own, with that many host devices. They
share this machine's cores: the processors' time, of all threads together, shows what is added by cutting a step in
parts, not a speed-up. The bytes are those of the compiled program and hold on any machine, as far as its XLA makes the
same collectives.
"""
from collections import Counter
import json
import math
import os
import pathlib
import re
import subprocess
import sys
import time
from typing import NamedTuple

from absl import app, flags
import jax

from benchmarks import cases, ours, page
from benchmarks.names import define_names
from gans.core.step import learning_params

DEVICES = (1, 2, 4, 8)
CASES = define_names('cases', ['wgan_gp_28', 'wgan_gp_64', 'wgan_gp_128'], cases.CASES,
                     'Names in benchmarks/cases.py; the first is timed, all are estimated.')
BATCH = flags.DEFINE_integer('batch', 128, 'Global batch of strong scaling; of weak scaling an eighth for each device.')
STEPS = flags.DEFINE_integer('steps', 5, 'Steps timed, the least of three turns.')
UTILISATION = flags.DEFINE_float('utilisation', 0.1, "Share of a chip's peak that the estimate supposes.")
WRITE = flags.DEFINE_string('write', '', 'Folder of scaling.md, such as docs; empty: print only.')
WORKER = flags.DEFINE_string('worker', '', 'Of the processes that this starts: case, and batch size, and steps.')

BYTES = {'pred': 1, 'u8': 1, 's8': 1, 'bf16': 2, 'f16': 2, 'u32': 4, 's32': 4, 'f32': 4, 'u64': 8, 's64': 8, 'f64': 8}
COLLECTIVES = ('all-reduce', 'all-gather', 'reduce-scatter', 'all-to-all', 'collective-permute')


class Chip(NamedTuple):
  """A kind of TPU, per chip: cloud.google.com/tpu/docs/v5e and v6e; links as jax-ml.github.io/scaling-book has them."""
  peak: float  # bfloat16 FLOP/s
  link: float  # bytes/s of one ICI link, one way; a chip has four
  host: float  # bytes/s of a host's network card, to other slices
  chips: int = 8  # of a host
  slice: int = 256  # chips that ICI joins at most, 16x16


CHIPS = {'v5e': Chip(197e12, 1600e9 / 8 / 4, 2 * 100e9 / 8), 'v6e': Chip(918e12, 3200e9 / 8 / 4, 4 * 200e9 / 8)}
HOP, NETWORK = 1e-6, 100e-6  # seconds to the first byte: a hop over ICI (the same book), and between slices (a guess)
SLICES = {8: (2, 4), 64: (8, 8), 256: (16, 16)}  # chips: how they stand


class Traffic(NamedTuple):
  """What a step sends: bytes and number of operations of each collective."""
  sizes: dict[str, int]
  counts: dict[str, int]


def traffic(hlo: str) -> Traffic:
  """Adds up the collectives of a compiled program's text; those in a loop count as often as it runs.

  A loop whose length is not known there counts once: in train_steps that is the one over the steps.
  """
  computations = {name: (entry, body) for entry, name, body in re.findall(
      r'^(ENTRY )?%?([\w.-]+) [^\n]*\{\n(.*?)^\}', hlo, re.MULTILINE | re.DOTALL)}
  sizes, counts = Counter(), Counter()

  def visit(name: str, times: int):
    for line in computations[name][1].splitlines():
      if found := re.search(rf' = (.*?) ({"|".join(COLLECTIVES)})\(', line):
        counts[found[2]] += times
        sizes[found[2]] += times * count_bytes(found[1])
      trips = re.search(r'known_trip_count":\{"n":"(\d+)"', line)
      for called in re.findall(r'(?:body|calls|to_apply|_computation)=%?([\w.-]+)', line):
        visit(called, times * int(trips[1]) if trips else times)
      for branches in re.findall(r'branch_computations=\{(.*?)\}', line):
        for called in branches.split(','):
          visit(called.strip().lstrip('%'), times)

  visit(next(name for name, (entry, _) in computations.items() if entry), 1)
  return Traffic(dict(sizes), dict(counts))


def count_bytes(shapes: str) -> int:
  """Bytes of all arrays in a shape as HLO writes it: '(f32[4,2]{1,0}, bf16[3])' has 38."""
  return sum(BYTES[kind] * math.prod(int(size) for size in sizes.split(',') if size)
             for kind, sizes in re.findall(r'(\w+)\[([\d,]*)\]', shapes))


def work(case: str, batch_size: int, steps: int) -> dict:
  """Takes steps on all devices; returns seconds a step, and what the compiled program sends a step."""
  config = cases.make_config(case, {'batch_size': batch_size})
  run = ours.Run(config, cases.make_images(config))
  sent = traffic(run.compile().as_text())
  times = []
  for _ in range(4 if steps else 0):
    start = time.process_time()
    run.advance(steps)
    times.append((time.process_time() - start) / steps)
  return {'seconds': min(times[1:], default=0.0), 'sizes': sent.sizes, 'counts': sent.counts,
          'gradients': count_gradient_bytes(run)}


def count_gradient_bytes(run: ours.Run) -> float:
  """Bytes of a step's gradients."""
  total = 0
  for update in run.experiment.algorithm.updates:
    params = jax.tree.leaves(learning_params(update, run.state.players))
    total += sum(leaf.nbytes for leaf in params) * update.repeats / update.every
  return total


def start(case: str, devices: int, batch_size: int, steps: int) -> dict:
  """Calls `work` in a process that has that many host devices."""
  flag = f'--xla_force_host_platform_device_count={devices}'
  environment = os.environ | {'XLA_FLAGS': f'{os.environ.get("XLA_FLAGS", "")} {flag}', 'JAX_PLATFORMS': 'cpu'}
  command = [sys.executable, '-m', 'benchmarks.scaling', f'--worker={json.dumps([case, batch_size, steps])}']
  return json.loads(subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout)


def estimate(chip: Chip, chips: int, flops: float, size: int, count: int, utilisation: float) -> tuple[float, ...]:
  """Seconds of a step: (computing, sending, waiting for first bytes), none of them at the same time.

  `flops` are a chip's own, `size` bytes all-reduced in `count` operations. An all-reduce over n chips sends
  2 (n - 1) / n of its bytes over one link of each chip, and its first byte goes there and back along both sides of the
  slice. Slices of 256 then exchange, over their hosts' network, what each chip has reduced.
  """
  sides = SLICES[min(chips, chip.slice)]
  hops = 2 * sum(side // 2 if side == 16 else side - 1 for side in sides)  # ends are joined on sides of 16 only
  n = min(chips, chip.slice)
  sending, waiting = 2 * (n - 1) / n * size / chip.link, count * hops * HOP
  if chips > chip.slice:
    slices, hosts = chips // chip.slice, chip.slice // chip.chips
    sending += 2 * (slices - 1) / slices * size / (hosts * chip.host)
    waiting += count * NETWORK
  return flops / (utilisation * chip.peak), sending, waiting


def time_devices() -> list[str]:
  """Rows of strong and weak scaling of the first case."""
  time = 'processor ms/step'
  rows = [f'| devices | strong: batch | {time} | of one device | weak: batch | {time} | of one, per image |',
          '|---|---|---|---|---|---|---|']
  firsts = None
  for devices in DEVICES:
    batches = BATCH.value, BATCH.value // DEVICES[-1] * devices
    strong, weak = (start(CASES.value[0], devices, batch, STEPS.value)['seconds'] for batch in batches)
    firsts = firsts or (strong, weak)
    rows.append(f'| {devices} | {batches[0]} | {strong * 1e3:.0f} | {strong / firsts[0]:.0%} | {batches[1]} | '
                f'{weak * 1e3:.0f} | {weak / devices / firsts[1]:.0%} |')
    print(rows[-1], flush=True)
  return rows


def list_traffic(sent: dict[str, dict]) -> list[str]:
  """Rows of what a step of each case sends on eight devices."""
  rows = ['| case | all-reduces a step | bytes | of them gradients | other collectives |', '|---|---|---|---|---|']
  for case, result in sent.items():
    others = ', '.join(f'{result["counts"][kind]} {kind} of {megabytes(size)}' for kind, size in result['sizes'].items()
                       if kind != 'all-reduce')
    rows.append(f'| {case} | {result["counts"]["all-reduce"]} | {megabytes(result["sizes"]["all-reduce"])} | '
                f'{megabytes(result["gradients"])} | {others or "none"} |')
  return rows


def list_estimates(sent: dict[str, dict]) -> list[str]:
  """Rows of the estimated step on 8, 64 and 1,024 chips, the batch per chip as in the case."""
  rows = ['| case | batch per chip | GFLOP per chip | chips | compute | send | wait | efficiency |',
          '|---|---|---|---|---|---|---|---|']
  for case, result in sent.items():
    config = cases.make_config(case, {})
    flops = ours.count_flops(config)
    for name, chip in CHIPS.items():
      for chips in (8, 64, 1024):
        parts = estimate(chip, chips, flops, result['sizes']['all-reduce'], result['counts']['all-reduce'],
                         UTILISATION.value)
        times = ' | '.join(f'{seconds * 1e3:.2f} ms' for seconds in parts)
        rows.append(f'| {case} | {config.batch_size} | {flops / 1e9:.0f} | {chips:,} {name} | {times} | '
                    f'{parts[0] / sum(parts):.0%} |')
  return rows


def megabytes(size: int) -> str:
  """Bytes in megabytes, of three digits."""
  return f'{size / 1e6:.3g} MB'


def main(argv):
  del argv
  if WORKER.value:
    print(json.dumps(work(*json.loads(WORKER.value))))
    return
  sent = {case: start(case, 8, 64, 0) for case in CASES.value}
  for title, rows in (('What a step sends', lambda: list_traffic(sent)),
                      ('Estimates for TPU slices', lambda: list_estimates(sent)),
                      ('Devices of one machine', time_devices)):
    text = '\n'.join([f'{page.command()} on {page.machine()}.', '', *rows()])
    print(f'{title}\n{text}', flush=True)
    if WRITE.value:
      page.write_section(pathlib.Path(WRITE.value) / 'scaling.md', title, text)


if __name__ == '__main__':
  app.run(main)
