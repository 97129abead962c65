"""Trains the classifiers of the built-in digits, which ship in gans/evaluation/classifiers.

    python -m benchmarks.ship_classifiers           # or --names=mnist_5k; some minutes on two cores
"""
from absl import flags
import numpy as np

from benchmarks import page
from benchmarks.runs import launch
from configs import base
from gans.data.sources import load_dataset
from gans.evaluation import classifier
from gans.system import cache

NAMES = flags.DEFINE_list('names', ['mnist_5k'], 'The data sets, which need no file.')
README = """# The classifiers of the built-in digits

Evaluations compare samples by them (`eval.features=classifier`), so that the first one on a machine need not train
one. The name of a file is that of the data and of the settings of training, so that other data find no file here.
Weights are rounded to float16. `python -m benchmarks.ship_classifiers` trains them again.
"""


def main(argv):
  del argv
  classifier.SHIPPED.mkdir(exist_ok=True)
  if not (classifier.SHIPPED / 'README.md').exists():
    (classifier.SHIPPED / 'README.md').write_text(README)
  for name in NAMES.value:
    config = base.get_config('adversarial')
    config.dataset.name = name
    dataset, steps = load_dataset(config.dataset), config.eval.classifier_steps
    arrays = classifier.fit_arrays(dataset, steps, np.float16)
    file = classifier.SHIPPED / f'{cache.digest(classifier.key_of(dataset, steps))}.npz'
    np.savez_compressed(file, **arrays)
    text = (f'`{file.name}`: {float(arrays["accuracy"]):.2%} right on {arrays["held_out"]} held-out examples after '
            f'{steps} steps; {page.command()} on {page.machine()}.')
    print(text)
    page.write_section(classifier.SHIPPED / 'README.md', name, text)


if __name__ == '__main__':
  launch(main)
