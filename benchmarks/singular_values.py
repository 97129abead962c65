"""The singular values of critics' layers, after training: Miyato et al. 2018, Spectral Normalization, Figure 1.

    python -m benchmarks.singular_values --out=singular_values.png RUN RUN ...

Each RUN is the workdir of a run, whose latest step is taken: one with weight clipping, one with a gradient penalty, one
with spectral norm, best of critics of the same widths. A layer's kernel is a matrix of its output channels and all
else; its singular values are drawn over their rank, relative to the largest. Where a few are large and the others
vanish, the layer tells images apart by a few features.
"""
import pathlib

from absl import app, flags
import jax
from matplotlib.figure import Figure
import numpy as np

from benchmarks.runs import launch
from gans.errors import UserError
from gans.runs.opening import open_run

OUT = flags.DEFINE_string('out', None, 'The picture to write.', required=True)


def read_spectra(workdir: str) -> dict[str, np.ndarray]:
  """Returns {layer: singular values, the largest first, relative to it} of a run's critic at its latest step."""
  with open_run(workdir) as run:
    players = run.restore(run.pick_step('latest')).players
  if 'critic' not in players:
    raise UserError(f'{workdir}: its players are {sorted(players)}; expected one that is called critic')
  params = players['critic'].params
  kernels = {path[0].key: leaf for path, leaf in jax.tree.leaves_with_path(params) if path[-1].key == 'kernel'}
  spectra = {}
  for layer, kernel in kernels.items():
    values = np.linalg.svd(np.reshape(kernel, (-1, kernel.shape[-1])), compute_uv=False)
    if len(values) > 1:  # a score's layer has one
      spectra[layer] = values / values[0]
  return spectra


def plot(spectra: dict[str, dict[str, np.ndarray]], path: pathlib.Path):
  """Draws {run: {layer: values}}, a panel for each layer."""
  layers = list(dict.fromkeys(layer for of_run in spectra.values() for layer in of_run))
  figure = Figure((3 * len(layers), 3), dpi=120, layout='constrained')
  for panel, layer in zip(np.ravel(figure.subplots(1, len(layers), sharey=True)), layers):
    for name, of_run in spectra.items():
      if layer in of_run:
        ranks = np.arange(1, 1 + len(of_run[layer])) / len(of_run[layer])
        panel.plot(ranks, of_run[layer], marker='.', label=name)
    panel.set(title=layer, xlabel='rank, of all')
    panel.grid(alpha=0.3)
  figure.axes[0].set(ylabel='singular value, of the largest', ylim=(0, 1.05))
  handles, labels = figure.axes[0].get_legend_handles_labels()
  figure.legend(handles, labels, loc='outside upper center', ncols=len(labels))
  figure.savefig(path)


def main(argv):
  """Prints a line for each layer of each run, and draws them."""
  _, *workdirs = argv
  if not workdirs:
    raise app.UsageError('expected the workdirs of one or several runs')
  spectra = {pathlib.Path(workdir).name: read_spectra(workdir) for workdir in workdirs}
  for name, of_run in spectra.items():
    for layer, values in of_run.items():
      above = np.mean(values > 0.1)
      print(f'{name}, {layer}: median {np.median(values):.2f} of the largest, {above:.0%} above a tenth of it')
  plot(spectra, pathlib.Path(OUT.value))


if __name__ == '__main__':
  launch(main)
