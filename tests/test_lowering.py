"""Every config's training compiles for GPUs and TPUs as far as a machine without them can tell: it is lowered to them.

There convolutions are XLA's own, where a CPU has dots (gans/networks/conv.py).
"""
import importlib

import jax
from jax import export
import jax.numpy as jnp
import pytest

from gans.build import build, build_shapes, build_train_steps
from gans.core import sharding
from gans.data.dataset import Spec
from gans.data.sources import TFDS, find_source, load_dataset
from tests.shrink import shrink
from tests.test_configs import EXPERIMENTS

NUM_EXAMPLES = 16


def look_at(config) -> Spec:
  """Returns what a config's data are, without a folder of images or a data set of TFDS."""
  if config.dataset.name == 'folder' or find_source(config.dataset.name) is TFDS:
    size = config.dataset.image_size
    return Spec((size, size, 3), 10)
  return load_dataset(config.dataset).spec


@pytest.mark.parametrize('name', [*EXPERIMENTS, 'r3gan:cifar10'])  # with grouped convolutions and ADA
def test_training_lowers_for_gpus_and_tpus(name):
  name, _, variant = name.partition(':')
  config = shrink(importlib.import_module(f'configs.{name}').get_config(variant))
  spec = look_at(config)
  experiment = build(config, spec)
  train_steps = build_train_steps(config, experiment, spec, sharding.make_mesh(1, jax.local_devices()[:1]))
  points = spec.kind.name == 'points'
  images = jax.ShapeDtypeStruct((NUM_EXAMPLES, *spec.shape), jnp.float32 if points else jnp.uint8)
  labels = jax.ShapeDtypeStruct((NUM_EXAMPLES,), jnp.int32)
  shape = (config.steps_per_call, experiment.algorithm.batches_per_step, config.batch_size)
  indices = jax.ShapeDtypeStruct(shape, jnp.int32)
  state = build_shapes(config, experiment)
  exported = export.export(train_steps, platforms=('cuda', 'tpu'))(state, (images, labels), indices, 1)
  text = exported.mlir_module()
  has_convolutions = any(group.network.startswith(('dcgan', 'translation', 'joint', 'resnet', 'r3gan'))
                         for group in config.values() if hasattr(group, 'network'))
  assert ('stablehlo.convolution' in text) == has_convolutions
