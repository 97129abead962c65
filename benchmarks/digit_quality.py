"""How sure a classifier of MNIST is of a run's digits.

    python -m benchmarks.digit_quality --workdir=/tmp/run --data_dir=~/tensorflow_datasets

Trains a small classifier on MNIST's training set (TFDS, prepared; some minutes on two cores), then prints its accuracy
on the test set and the share of the test set that it is over 0.9 sure of, and of 10,000 samples of the run's last
checkpoint: the same share, how they fall into the classes, their Frechet distance to the test set on the classifier's
features, and where the run is of a labelled GAN how often the classifier agrees with the label.
"""
from absl import app, flags, logging
import jax
import numpy as np

from benchmarks import judge
from benchmarks.judge import SURE
import gans
from gans.evaluation import classifier

WORKDIR = flags.DEFINE_string('workdir', None, 'The run to measure.', required=True)


def sample_last(path: str, num: int) -> tuple[int, np.ndarray, np.ndarray | None]:
  """Returns (step, num samples, their labels if any) of a workdir's last checkpoint, through the averaged generator."""
  generate = gans.load(path, 'latest')
  label = np.arange(num, dtype=np.int32) % generate.num_classes if generate.num_classes else None
  images = generate.draw(generate.inputs(jax.random.key(1), num, label))
  return generate.step, images, label


def main(argv):
  del argv
  logging.set_verbosity(logging.ERROR)
  mnist_judge = judge.make_judge(judge.load_mnist('train'))
  print(f'classifier: {mnist_judge.accuracy:.2%} right on the test set, '
        f'over {SURE} sure of {mnist_judge.sure:.1%} of it')
  step, samples, label = sample_last(WORKDIR.value, 10_000)
  _, fake = classifier.classify(mnist_judge.variables, samples, mnist_judge.spec)
  shares = np.bincount(fake.argmax(1), minlength=10) / len(fake)
  print(f'{WORKDIR.value} at step {step}: over {SURE} sure of {(fake.max(1) > SURE).mean():.1%} of {len(fake)} '
        f'samples; {shares.min():.1%} to {shares.max():.1%} a class; Frechet '
        f'distance {mnist_judge.distance(samples):.1f}')
  if label is not None:
    print(f'the label is what the classifier says for {(fake.argmax(1) == label).mean():.1%}')


if __name__ == '__main__':
  app.run(main)
