#!/bin/bash
# Startup script of every host of a TPU slice: installs gans, and starts or resumes a run. See docs/cloud-tpu.md.
set -eux

REPOSITORY=https://github.com/OWNER/gans      # where gans is cloned from
BUCKET=BUCKET                                 # holds data/ and runs/
FLAGS="--config=configs/wgan_gp_celeba.py --workdir=gs://$BUCKET/runs/celeba
  --config.dataset.name=folder --config.dataset.path=/root/data --config.batch_size=512 --config.dtype=bfloat16"

export HOME=/root PATH=/root/.local/bin:$PATH
export JAX_COMPILATION_CACHE_DIR=gs://$BUCKET/compiled
command -v uv || curl -LsSf https://astral.sh/uv/install.sh | sh
[ -d /root/gans ] || git clone "$REPOSITORY" /root/gans
gcloud storage rsync --recursive "gs://$BUCKET/data" /root/data
cd /root/gans
uv venv --python=3.12 --allow-existing
uv pip install -r requirements.txt 'jax[tpu]'
# shellcheck disable=SC2086  # flags are words
exec .venv/bin/python main.py --distributed $FLAGS
