"""--mode=report: one HTML page of a run, or of several side by side, that opens anywhere and needs no network."""
import base64
from collections.abc import Iterator, Sequence
import html
import importlib.resources
import re
import string
from typing import NamedTuple

from etils import epath
import jax
import numpy as np

from gans import validate
from gans.errors import UserError
from gans.evaluation import evaluator
from gans.modes import interpolate, outputs
from gans.runs import trained, workdirs
from gans.system import disk, pictures
from gans.training import reporter

# Of the runs; told apart by most who are colour-blind.
COLOURS = ('#1f77b4', '#d62728', '#2ca02c', '#ff7f0e', '#9467bd', '#8c564b', '#e377c2', '#17becf')
GRIDS = 24  # of each seed on the page, and in the GIF of its training
MILLISECONDS, HOLD = 150, 10  # of a frame of the GIF; how often the last one is repeated
LEGS = 4  # of an interpolation


class Told(NamedTuple):
  """What a workdir says of its run, without its data."""
  name: str
  config: dict  # nested, as in config.json
  scalars: dict[str, dict[int, float]]  # {name: {step: value}}, of TensorBoard's files
  scores: list[tuple[int, evaluator.Evaluation]]  # (step, what was measured), of eval.jsonl
  grids: dict[str, dict[int, epath.Path]]  # {seed, '' of a single one: {step: file}}
  real: epath.Path | None  # the picture of training data
  starts: list[dict]  # of starts.jsonl


def write_report(paths: Sequence, *, out=None) -> epath.Path:
  """Writes the page of the runs in some workdirs, and of a single run a GIF of its training beside it.

  Args:
    paths: workdirs; with several of them, the first's colour, column and place come first.
    out: NAME.html, where nothing may be yet; None: `report.html` in the workdir, or `comparison.html` in the first one.

  Returns:
    The page's path; the GIF's name ends on .gif instead.

  Raises:
    UserError: one is no workdir, or has nothing to show yet, or `out` is not what it should be.
  """
  runs = [read(path) for path in paths]
  target = outputs.choose(paths[0], out, 'report.html' if len(paths) == 1 else 'comparison.html')
  gif = target.with_suffix('.gif')
  if out is not None:
    outputs.refuse_existing(gif)
  between = [draw_between(path) for path in paths]
  with outputs.explained(target):
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(render(runs, between))
    print(f'{target}: opens in any browser, without a network')
    if len(runs) == 1 and runs[0].grids:
      save_training(gif, runs[0])
  return target


def read(path) -> Told:
  """Reads what a workdir says of its run; raises UserError where it is none, or nothing has happened in it yet."""
  folder, config = disk.absolute(path), workdirs.read_config(path)
  validate.check_kept(config, folder)
  events = folder / 'events'
  names = [f'train/{name}' for name in reporter.PLOTTED] + ['steps_per_second']
  scalars = reporter.read_scalars(events, names, np.inf, group='') if events.exists() else {}
  grids = {}
  for file in sorted((folder / 'samples').glob('fake_*.png')):
    if found := re.fullmatch(r'fake_(\d+)(?:_(\d+))?\.png', file.name):
      grids.setdefault(found[2] or '', {})[int(found[1])] = file
  grids = dict(sorted(grids.items(), key=lambda item: int(item[0] or 0)))  # 9 before 10
  real = folder / 'samples' / 'real.png'
  told = Told(str(path), config.to_dict(), scalars, read_scores(folder / 'eval.jsonl'), grids,
              real if real.exists() else None, reporter.read_records(folder / 'starts.jsonl'))
  if not (told.scalars or told.scores or told.grids):
    raise UserError(f'--workdir={path} has nothing to report yet: no scalars in events/, no scores, no sample grids')
  return told


def read_scores(path: epath.Path) -> list[tuple[int, evaluator.Evaluation]]:
  """Reads an eval.jsonl; raises UserError where it is not as it was written."""
  try:
    return [(record.pop('step'), evaluator.Evaluation(**record)) for record in reporter.read_records(path)]
  except (TypeError, KeyError, AttributeError) as error:
    raise UserError(f'{path} is not as it was written: {error}') from error


def save_training(target: epath.Path, run: Told):
  """Writes sample grids of a run, of its first seed, as a GIF that rests on the last one."""
  files = thinned(next(iter(run.grids.values()))).values()
  grids = [pictures.read(file) for file in files]
  frames = np.stack([grid for grid in grids if grid.shape == grids[-1].shape])
  pictures.save_gif(target, np.concatenate([frames, frames[-1:].repeat(HOLD, axis=0)]), MILLISECONDS)
  print(f'{target}: {len(frames)} sample grids over the steps')


def draw_between(path) -> np.ndarray | str:
  """Returns a picture [H,W,C] uint8 of the ways between classes, or else latents, or the reason why there is none."""
  try:
    generate = trained.load(path)
    outputs.refuse_points('interpolate', path, generate.image_shape)
    z = generate.latents(jax.random.key(0), LEGS)
    if generate.num_classes:
      legs = interpolate.through_classes(generate, z[0], np.arange(min(LEGS, generate.num_classes)))
    else:
      legs = interpolate.through_latents(generate, z, 0)
    return interpolate.rows(legs)
  except UserError as error:
    return str(error)


def render(runs: list[Told], between: list) -> str:
  """Makes the page of runs and of what draw_between returned for each; all that came from files is escaped."""
  template = (importlib.resources.files('gans') / 'page.html').read_text()
  title = ', '.join(run.name for run in runs)
  sections = {
      'At a glance': table(runs, glance(runs)),
      'Samples over the steps': slider(runs),
      'Between samples': side_by_side(
          f'<p>{escape(one)}</p>' if isinstance(one, str) else image(pictures.png(one), 'pixels') for one in between),
      'Losses': curves(runs, {name: [run.scalars.get(name, {}) for run in runs]
                              for name in (f'train/{name}' for name in reporter.PLOTTED)}, smoothed=True),
      'Scores': curves(runs, scores_over_steps(runs), smoothed=False),
      'Environment': table(runs, environment(runs)),
      'Config': table(runs, fields(runs)),
  }
  body = '\n'.join(f'<h2>{name}</h2>\n{content}' for name, content in sections.items() if content)
  return string.Template(template).substitute(title=escape(title), body=body)


def glance(runs: list[Told]) -> dict[str, list]:
  """Returns {what: [value of each run]}: how far it is, how fast, what it was measured by, its last and best scores."""
  rows = {
      'steps': [f'{last_step(run)} of {run.config["num_steps"]}' for run in runs],
      'steps per second': [f'{np.median(list(speeds.values())):.3g}' if speeds else ''
                           for speeds in (run.scalars.get('steps_per_second') for run in runs)],
      'best step': [best(run) for run in runs],
      'measured by': [' / '.join(dict.fromkeys(reporter.about_scores(each) for _, each in own(run))) for run in runs]}
  for name, each in scores_over_steps(runs).items():
    rows[f'last {name}'] = [f'{by_step[max(by_step)]:.4g}' if by_step else '' for by_step in each]
  return rows


def last_step(run: Told) -> int:
  """Returns the last step that left a trace."""
  traces = (*run.scalars.values(), *run.grids.values(), dict(run.scores))
  return max((step for by_step in traces for step in by_step), default=0)


def own(run: Told) -> list[tuple[int, evaluator.Evaluation]]:
  """Returns the scores measured as the run's config says, or else as the last ones were, in order of their steps."""
  asked = run.config['eval']
  ways = [(asked['num_samples'], asked['seed'])] + [(each.num_samples, each.seed) for _, each in run.scores[-1:]]
  found = ([(step, each) for step, each in run.scores if (each.num_samples, each.seed) == way] for way in ways)
  return sorted(next(filter(None, found), []), key=lambda measured: measured[0])


def score_names(runs: list[Told]) -> list[str]:
  """Returns the names of the runs' scores, without those that are the spread of another."""
  names = dict.fromkeys(name for run in runs for _, each in own(run) for name in each.scores)
  return [name for name in names if not name.endswith('_std')]


def score_by_step(run: Told, name: str) -> dict[int, float]:
  """Returns {step: value} of a score; of several seeds the mean."""
  return {step: float(np.mean(each.scores[name])) for step, each in own(run) if name in each.scores}


def scores_over_steps(runs: list[Told]) -> dict[str, list[dict[int, float]]]:
  """Returns {score: [{step: value} of each run]}."""
  return {name: [score_by_step(run, name) for run in runs] for name in score_names(runs)}


def best(run: Told) -> str:
  """Says at which step the score was best that the run's checkpoints are compared by."""
  names = score_names([run])
  wanted = run.config['eval']['best'] or ('sliced_wasserstein' if names and names[0].startswith('points/') else
                                          'frechet_distance')
  for name in names:
    if name.endswith(f'/{wanted}'):
      by_step = score_by_step(run, name)
      step = (min if evaluator.MODES[wanted] == 'min' else max)(by_step, key=by_step.get)
      return f'{step}: {name} {by_step[step]:.4g}'
  return ''


def environment(runs: list[Told]) -> dict[str, list]:
  """Returns {what: [value at the last start of each run]}; runs of before this was kept have none."""
  names = dict.fromkeys(name for run in runs for start in run.starts[-1:] for name in start)
  return {'starts': [len(run.starts) or '' for run in runs]} | {
      name: [run.starts[-1].get(name, '') if run.starts else '' for run in runs] for name in names if name != 'step'}


def fields(runs: list[Told]) -> dict[str, list]:
  """Returns {field of the config: [value in each run]}."""
  flat = [reporter.flatten(run.config) for run in runs]
  return {name: [each.get(name, '') for each in flat] for name in sorted({name for each in flat for name in each})}


def table(runs: list[Told], rows: dict[str, list]) -> str:
  """Makes a table with a column for each run; rows in which these differ are marked, empty ones are left out."""
  heads = ''.join(f'<th>{name}</th>' for name in coloured_names(runs))
  lines = [f'<tr{" class=differs" if len(set(map(str, values))) > 1 else ""}><th>{escape(name)}</th>'
           + ''.join(f'<td>{escape(value)}</td>' for value in values) + '</tr>'
           for name, values in rows.items() if any(value != '' for value in values)]
  return f'<table><tr><th></th>{heads}</tr>\n' + '\n'.join(lines) + '\n</table>' if lines else ''


def coloured_names(runs: list[Told]) -> list[str]:
  """Returns the name of each run behind a patch of its colour."""
  return [f'<i style="background:{COLOURS[i % len(COLOURS)]}"></i>{escape(run.name)}' for i, run in enumerate(runs)]


def curves(runs: list[Told], plotted: dict[str, list[dict[int, float]]], smoothed: bool) -> str:
  """Plots {name: [{step: value} of each run]}, a small plot for each name with the runs' lines in it."""
  made = []
  for name, lines in plotted.items():
    drawn = [(COLOURS[i % len(COLOURS)], by_step) for i, by_step in enumerate(lines) if by_step]
    if drawn:
      made.append(f'<figure>{image(pictures.plot_curves(drawn, smoothed), "", "svg+xml")}'
                  f'<figcaption>{escape(name)}</figcaption></figure>')
  names = ''.join(f'<span>{name}</span>' for name in coloured_names(runs)) if len(runs) > 1 else ''
  return f'{names}<div class=curves>{"".join(made)}</div>' if made else ''


def slider(runs: list[Told]) -> str:
  """Puts the sample grids of each run and seed side by side, with one slider over the steps for all of them."""
  series = [(run.name + (f' seed {seed}' if seed else ''), thinned(by_step)) for run in runs
            for seed, by_step in run.grids.items()]
  if not series:
    return ''
  real = {run.real.read_bytes(): run.real for run in runs if run.real}  # the same data once
  series += [('training data', {0: file}) for file in real.values()]
  steps = sorted({step for _, by_step in series for step in by_step})
  shown = side_by_side(''.join(grid_figures(name, by_step)) for name, by_step in series)
  return (f'<input type=range id=step min={steps[0]} max={steps[-1]} value={steps[-1]} step=any aria-label=step>\n'
          f'<div id=grids>{shown}</div>')


def grid_figures(name: str, by_step: dict[int, epath.Path]) -> Iterator[str]:
  """Yields a figure for each step, all but the last one hidden."""
  for step, file in by_step.items():
    hidden = '' if step == max(by_step) else ' hidden'
    yield (f'<figure data-step={step}{hidden}>{image(file.read_bytes(), "pixels")}'
           f'<figcaption>{escape(name)}{f" step {step}" if step else ""}</figcaption></figure>')


def thinned(by_step: dict[int, epath.Path]) -> dict[int, epath.Path]:
  """Picks GRIDS of the steps, evenly, the first and the last among them."""
  steps = list(by_step)
  return {steps[i]: by_step[steps[i]] for i in np.unique(np.linspace(0, len(steps) - 1, GRIDS).astype(int))}


def side_by_side(parts) -> str:
  return '<div class=side>' + ''.join(f'<div>{part}</div>' for part in parts) + '</div>'


def image(contents: bytes, style: str, kind: str = 'png') -> str:
  """Makes an image that is all in the page."""
  return f'<img class="{style}" alt="" src="data:image/{kind};base64,{base64.b64encode(contents).decode()}">'


def escape(value) -> str:
  """Makes text of anything that is text in HTML too."""
  return html.escape(str(value))
