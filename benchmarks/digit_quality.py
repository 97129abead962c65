"""How sure a classifier of MNIST is of a run's digits.

    python -m benchmarks.digit_quality --workdir=/tmp/run --data_dir=~/tensorflow_datasets

Trains a small classifier on MNIST's training set (TFDS, prepared; some minutes on two cores, once), then prints its
accuracy on the test set and the share of the test set that it is over 0.9 sure of, and of 10,000 samples of the run's
last checkpoint: the same share, how they fall into the classes, their Frechet distance to the test set on the
classifier's features, and where the run is of a labelled GAN how often the classifier agrees with the label.
"""
from absl import flags

from benchmarks import judge
from benchmarks.judge import SURE
from benchmarks.runs import launch

WORKDIR = flags.DEFINE_string('workdir', None, 'The run to measure.', required=True)


def main(argv):
  del argv
  mnist_judge = judge.make_judge()
  print(f'classifier: {mnist_judge.accuracy:.2%} right on the test set, '
        f'over {SURE} sure of {mnist_judge.sure:.1%} of it')
  step, samples, label = judge.sample_run(WORKDIR.value)
  quality = mnist_judge.measure(samples, label)
  print(f'{WORKDIR.value} at step {step}: over {SURE} sure of {quality.sure:.1%} of {len(samples)} samples; '
        f'{quality.rarest:.1%} to {quality.commonest:.1%} a class; Frechet distance {quality.distance:.1f}')
  if quality.agreement is not None:
    print(f'the label is what the classifier says for {quality.agreement:.1%}')


if __name__ == '__main__':
  launch(main)
