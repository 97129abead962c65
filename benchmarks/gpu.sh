#!/usr/bin/env bash
# What is to be measured on a GPU, in under ten minutes, as one page and its plots:
#
#   pip install -r requirements.txt "jax[cuda12]" torch
#   benchmarks/gpu.sh OUT              # OUT/performance.md
#   benchmarks/gpu.sh OUT train        # then as often as you like: WGAN-GP on CIFAR-10, resumed from call to call
#
# What a part has measured by the end of its time is on the page. Without PyTorch, several seeds alone are measured.
# Flags after OUT, such as --rounds=1, go to every benchmark.
set -uo pipefail
: "${1:?give a folder: benchmarks/gpu.sh OUT}"
mkdir -p "$1/images"
out=$(cd "$1" && pwd)
shift
cd "$(dirname "$0")/.."

if [ "${1:-}" = train ]; then
  shift
  exec timeout 540 python main.py --config=configs/wgan_gp_animals.py --workdir="$out/cifar10" \
    --config.dataset.name=cifar10 --config.dataset.crop= --config.batch_size=128 --config.n_critic=1 \
    --config.num_steps=100_000 --config.checkpoint_every=5_000 "$@"
fi

status=0
short=(--rounds=3 --seconds=0.5 --write="$out")
race() {  # SECONDS FLAGS...
  timeout "$1" python -m benchmarks.throughput "${short[@]}" "${@:2}" || status=1
}
if python -c 'import torch'; then
  race 330 '--cases=wgan_gp_28,wgan_gp_64,gan,toy,"dcgan, spectral",wgan_gp_128' "$@"
  race 120 --cases=wgan_gp_64,wgan_gp_128 --dtype=bfloat16 "$@"
fi
python -m benchmarks.seeds "${short[@]}" "$@" || status=1
exit $status
