"""What a 3-D critic has learnt of shapes without labels: a linear classifier on its features (Wu et al. 2016, 4.3).

    python -m benchmarks.shape_features --workdir=RUN --train=train.npz --test=test.npz

RUN is the workdir of a run on voxels, such as configs/gan_3d.py:modelnet on ModelNet10's train.npz. The features are
the outputs of the critic's convolutions, max-pooled to at most POOLED^3 positions and joined, of the run's latest step;
the classifier is a linear SVM that is trained on the labels of --train and measured on --test. The paper trains the
critic on seven classes of ShapeNet instead, and has 91.0 % on ModelNet10. A critic with projection saw the classes.
"""
from absl import flags
from flax import linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from benchmarks.runs import launch
from gans.core.game import variables_of
from gans.data.kinds import VOXELS
from gans.data.sources import load_dataset
from gans.errors import UserError
from gans.networks import conv
from gans.runs.opening import open_run

WORKDIR = flags.DEFINE_string('workdir', None, 'The workdir of the run.', required=True)
TRAIN = flags.DEFINE_string('train', None, 'The file of shapes to train the classifier on.', required=True)
TEST = flags.DEFINE_string('test', None, 'The file of shapes to measure it on.', required=True)

CHUNK = 200  # shapes whose features are computed at a time
POOLED = 4  # positions along each axis of a map
C = 1e-3  # of the SVM; features are standardised first


def make_features(critic: nn.Module, variables: dict):
  """Returns features(voxels [B,X,Y,Z,1] uint8) -> [B,F] float32."""
  @jax.jit
  def features(voxels):
    label = jnp.zeros(len(voxels), jnp.int32)
    _, state = critic.apply(variables, VOXELS.decode(voxels), label, train=False, mutable=['intermediates'],
                            capture_intermediates=lambda module, _: isinstance(module, conv.Conv))
    maps = jax.tree.leaves(state['intermediates'])
    pooled = [pool(nn.leaky_relu(x, 0.2)) for x in maps]
    return jnp.concatenate([x.reshape(len(x), -1) for x in pooled], axis=-1)

  return features


def pool(x):
  """Max-pools a map [B,n,n,n,C] to POOLED positions along each axis, or up to 2 * POOLED - 1 where n is no multiple."""
  window = max(1, x.shape[1] // POOLED)
  return nn.max_pool(x, (window,) * 3, (window,) * 3)


def extract(features, voxels: np.ndarray) -> np.ndarray:
  """Returns the features [N,F] of all shapes [N,X,Y,Z,1], CHUNK at a time."""
  return np.concatenate([features(voxels[start:start + CHUNK]) for start in range(0, len(voxels), CHUNK)])


def read_split(config, path: str):
  """Returns the data set of a file of voxels, of the size that a run's config says."""
  config = config.dataset.copy_and_resolve_references()
  config.update({'name': 'voxel_folder', 'path': path})
  return load_dataset(config)


def main(argv):
  """Prints the accuracy on the test split of the critic's features, and of the voxels themselves."""
  del argv
  with open_run(WORKDIR.value) as run:
    if run.spec.kind is not VOXELS:
      raise UserError(f'--workdir={WORKDIR.value} makes {run.spec.kind.name}; expected a run on voxels')
    step = run.pick_step('latest')
    critic = run.experiment.modules['critic']
    features = make_features(critic, variables_of(run.restore(step).players['critic']))
    train, test = read_split(run.config, TRAIN.value), read_split(run.config, TEST.value)
  spaces = {'critic features': features, 'voxels': lambda voxels: voxels.reshape(len(voxels), -1)}
  for name, embed in spaces.items():
    # The products of all pairs by one matmul: of many features, an SVM that goes through them takes an hour.
    classifier = make_pipeline(StandardScaler(), SVC(C=C, kernel=lambda x, y: x @ y.T))
    classifier.fit(extract(embed, train.images), train.labels)
    accuracy = classifier.score(extract(embed, test.images), test.labels)
    print(f'{name}: {accuracy:.2%} of {len(test.images)} test shapes, step {step}')


if __name__ == '__main__':
  launch(main)
