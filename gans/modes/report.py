"""--mode=report: one HTML page of a run, or of several side by side, that opens anywhere and needs no network.

This file collects what the page shows, as text, numbers and pictures; report.html beside it has all the markup.
"""
import base64
from collections.abc import Sequence
from typing import NamedTuple

from etils import epath
import jinja2
import numpy as np

from gans.data.inventory import describe_inventory
from gans.errors import UserError
from gans.evaluation.evaluator import Evaluation
from gans.evaluation.scores import without_many
from gans.modes import interpolate, outputs
from gans.runs import evaluations, trained, workdirs
from gans.runs.evaluations import Best
from gans.system import disk, events, pictures, records
from gans.training.reporter import GROUP, find_grids, is_plotted
from gans.training.scores import about_scores

# One for each run; most people who are colour-blind can tell them apart.
COLOURS = ('#1f77b4', '#d62728', '#2ca02c', '#ff7f0e', '#9467bd', '#8c564b', '#e377c2', '#17becf')
GRIDS = 24  # of each seed on the page, and in the GIF of its training
MILLISECONDS, HOLD = 150, 10  # of a frame of the GIF; how often the last one is repeated
LEGS = 4  # of an interpolation
SPEED = 'steps_per_second'  # a tag in TensorBoard
# Fields of the config.
READ = ('num_steps', 'eval.features', 'eval.weights', 'eval.num_samples', 'eval.seed', 'eval.best')


class Run(NamedTuple):
  """What a workdir says of its run, without its data."""
  name: str
  config: dict  # nested, as in config.json
  scalars: dict[str, dict[int, float]]  # {tag: {step: value}}, from TensorBoard's files
  own_scores: list[tuple[int, Evaluation]]  # (step, what was measured), those of eval.jsonl that can be compared
  best: Best | None
  grids: dict[str, dict[int, epath.Path]]  # {seed, '' of a single one: {step: file}}, both in order
  real: epath.Path | None  # the picture of training data
  starts: list[dict]  # from starts.jsonl
  data: str  # what was read, '' in runs from before that was kept


class Column(NamedTuple):
  """The head of a run's column in every table."""
  colour: str
  name: str


class Row(NamedTuple):
  """A row of a table."""
  name: str
  values: list[str]  # one for each run
  differs: bool  # whether the runs have different values


class Grid(NamedTuple):
  """The picture of samples at one step."""
  step: int
  caption: str
  png: str  # base64


class Samples(NamedTuple):
  """The pictures that one slider moves through."""
  first_step: int
  last_step: int
  series: list[list[Grid]]  # side by side, each in order of the steps


class Between(NamedTuple):
  """The picture of what lies between a run's samples, or the reason why there is none."""
  name: str
  png: str  # base64; '' where there is none
  reason: str


class Curve(NamedTuple):
  """A small plot with a line for each run."""
  name: str
  svg: str  # base64


class Page(NamedTuple):
  """All that report.html shows; an empty section is left out."""
  title: str
  columns: list[Column]
  glance: list[Row]
  samples: Samples | None
  between: list[Between]
  losses: list[Curve]
  scores: list[Curve]
  environment: list[Row]
  config: list[Row]


def split_paths(text: str) -> list[str]:
  """Returns the workdirs in a text that separates them by commas; a path that exists and has commas is one of them."""
  parts = text.split(',')
  paths = []
  while parts:
    candidates = [','.join(parts[:count]) for count in range(len(parts), 0, -1)]
    path = next((each for each in candidates if each and disk.absolute(each).exists()), parts[0])
    paths.append(path)
    parts = parts[path.count(',') + 1:]
  return paths


def write_report(paths: Sequence, *, out=None) -> epath.Path:
  """Writes the page of the runs in some workdirs, and of a single run a GIF of its training beside it.

  Args:
    paths: workdirs; with several of them, the first's colour, column and place come first.
    out: NAME.html, where nothing may be yet; None: `report.html` in the workdir, or `comparison.html` in the first one.

  Returns:
    The page's path; the GIF's name ends with .gif instead.

  Raises:
    UserError: one is no workdir, or has nothing to show yet, or `out` is not what it should be.
  """
  runs = [read_run(path) for path in paths]
  target = outputs.choose(paths[0], out, 'report.html' if len(paths) == 1 else 'comparison.html')
  gif = target.with_suffix('.gif')
  if out is not None:
    outputs.refuse_existing(gif)
  between = [draw_between(path) for path in paths]
  text = render(make_page(runs, between))
  with outputs.explain_errors(target):
    target.parent.mkdir(parents=True, exist_ok=True)
    disk.write_whole(target, text)
    print(f'{target}: opens in any browser, without a network')
    if len(runs) == 1 and runs[0].grids:
      save_training(gif, runs[0])
  return target


def read_run(path) -> Run:
  """Reads what a workdir says of its run; raises UserError where it is none, or nothing has happened in it yet."""
  folder = disk.absolute(path)
  real = folder / 'samples' / 'real.png'
  config = read_config(path)
  spec = workdirs.read_spec(path)
  measured = evaluations.read_scores(folder / evaluations.NAME)
  run = Run(
      name=str(path),
      config=config,
      scalars=events.read_scalars(folder / 'events', is_shown),
      own_scores=evaluations.own_scores(measured, config, spec),
      best=evaluations.find_best(folder, config, spec),
      grids=find_grids(folder / 'samples'),
      real=real if real.exists() else None,
      starts=records.read_records(folder / 'starts.jsonl'),
      data=describe_data(folder))
  if not (run.scalars or measured or run.grids):
    raise UserError(f'--workdir={path} has nothing to report yet: no scalars in events/, no scores, no sample grids')
  return run


def describe_data(folder: epath.Path) -> str:
  """Says what a run read, as its start did."""
  inventory = workdirs.read_inventory(folder)
  return '; '.join(line.strip() for line in describe_inventory(inventory)) if inventory else ''


def read_config(path) -> dict:
  """Reads a workdir's config, nested; one that cannot be trained any more is shown all the same.

  Raises:
    UserError: there is none, or it lacks what the page is made with.
  """
  config = workdirs.read_config(path).to_dict()
  there = records.flatten(config)
  for field in READ:
    if field not in there:
      raise UserError(f'{path}/config.json is not as it was written: {field} is missing')
  return config


def is_shown(tag: str) -> bool:
  """Tells whether the page shows a scalar of TensorBoard's files."""
  return tag == SPEED or is_loss(tag)


def is_loss(tag: str) -> bool:
  """Tells whether a scalar is one of the training metrics that are plotted."""
  return tag.startswith(GROUP) and is_plotted(tag)


def draw_between(path) -> Between:
  """Draws the ways between classes, or else between latents; where a model has no such ways, says why."""
  try:
    png = pictures.encode_png(interpolate_samples(path))
  except UserError as error:
    return Between(str(path), '', str(error))
  return Between(str(path), encode(png), '')


def interpolate_samples(path) -> np.ndarray:
  """Returns a picture [H,W,C] uint8, a row for each way; raises UserError for a model that has none."""
  generate = trained.load(path)
  outputs.refuse_other_than_images('interpolate', path, generate.spec.kind)
  inputs = interpolate.choose_inputs(path, generate, LEGS, seed=0, label=0)
  if generate.num_classes > 1:
    classes = np.arange(min(LEGS, generate.num_classes))
    return interpolate.rows(interpolate.through_classes(generate, inputs, classes))
  return interpolate.rows(interpolate.through_inputs(generate, inputs))


def save_training(target: epath.Path, run: Run):
  """Writes the sample grids of a run, of its first seed, as a GIF that rests on the last one."""
  first_seed = next(iter(run.grids.values()))
  grids = [pictures.read_png(file) for file in thinned(first_seed).values()]
  frames = np.stack([grid for grid in grids if grid.shape == grids[-1].shape])
  rest = frames[-1:].repeat(HOLD, axis=0)
  pictures.save_gif(target, np.concatenate([frames, rest]), MILLISECONDS)
  print(f'{target}: {len(frames)} sample grids over the steps')


def thinned(by_step: dict[int, epath.Path]) -> dict[int, epath.Path]:
  """Picks GRIDS of the steps, evenly, the first and the last among them."""
  steps = list(by_step)
  places = np.unique(np.linspace(0, len(steps) - 1, GRIDS).astype(int))
  return {steps[place]: by_step[steps[place]] for place in places}


def render(page: Page) -> str:
  """Makes the HTML of a page. All text is escaped: it comes from files that anybody may have written."""
  loader = jinja2.PackageLoader('gans', 'modes')
  templates = jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True,
                                 lstrip_blocks=True)
  return templates.get_template('report.html').render(page._asdict())


def make_page(runs: list[Run], between: list[Between]) -> Page:
  """Collects what the page of some runs shows; `between` is what draw_between returned for each."""
  return Page(
      title=', '.join(run.name for run in runs),
      columns=[Column(colour(place), run.name) for place, run in enumerate(runs)],
      glance=make_rows(glance(runs)),
      samples=make_samples(runs),
      between=between,
      losses=make_curves(losses_over_steps(runs), smoothed=True),
      scores=make_curves(scores_over_steps(runs), smoothed=False),
      environment=make_rows(environment(runs)),
      config=make_rows(fields(runs)))


def colour(place: int) -> str:
  """Returns the colour of the run at a place in the list of runs."""
  return COLOURS[place % len(COLOURS)]


def make_rows(table: dict[str, list]) -> list[Row]:
  """Makes the rows of a table {name: [value of each run]}; those without any value are left out."""
  rows = []
  for name, values in table.items():
    texts = [str(value) for value in values]
    if any(texts):
      rows.append(Row(name, texts, differs=len(set(texts)) > 1))
  return rows


def glance(runs: list[Run]) -> dict[str, list]:
  """Returns {what: [value of each run]}: how far it is, how fast, what it was measured by, its best and last scores."""
  table = {
      'steps': [f'{last_step(run)} of {run.config["num_steps"]}' for run in runs],
      'steps per second': [speed(run) for run in runs],
      'best step': [describe_best(run.best) for run in runs],
      'measured by': [measured_by(run) for run in runs],
  }
  for name, lines in scores_over_steps(runs).items():
    table[f'last {name}'] = [last_value(by_step) for by_step in lines]
  return table


def last_step(run: Run) -> int:
  """Returns the last step that left a trace."""
  traces = [*run.scalars.values(), *run.grids.values(), dict(run.own_scores)]
  return max((step for by_step in traces for step in by_step), default=0)


def speed(run: Run) -> str:
  """Says how many steps a second took, by the median."""
  speeds = list(run.scalars.get(SPEED, {}).values())
  return f'{np.median(speeds):.3g}' if speeds else ''


def measured_by(run: Run) -> str:
  """Says what the scores are of, and by what."""
  return next((about_scores(evaluation) for _, evaluation in run.own_scores), '')


def last_value(by_step: dict[int, float]) -> str:
  """Says the value at the last step; '' where there is none."""
  return f'{by_step[max(by_step)]:.4g}' if by_step else ''


def describe_best(best: Best | None) -> str:
  """Says which of the checkpoints is best, and by what."""
  return f'{best.step}: {best.score} {best.value:.4g}' if best else ''


def score_names(runs: list[Run]) -> list[str]:
  """Returns the names of the runs' scores, without those that are the spread of another, or of one class of many."""
  names = dict.fromkeys(name for run in runs for _, each in run.own_scores for name in each.scores)
  return [name for name in without_many(names) if not name.endswith('_std')]


def score_by_step(run: Run, name: str) -> dict[int, float]:
  """Returns {step: value} of a score; of several seeds the mean."""
  return evaluations.mean_by_step({step: each.scores for step, each in run.own_scores}, name)


def scores_over_steps(runs: list[Run]) -> dict[str, list[dict[int, float]]]:
  """Returns {score: [{step: value} of each run]}."""
  return {name: [score_by_step(run, name) for run in runs] for name in score_names(runs)}


def losses_over_steps(runs: list[Run]) -> dict[str, list[dict[int, float]]]:
  """Returns {tag: [{step: value} of each run]} of the training metrics that are plotted, in the order of the tags."""
  tags = {tag for run in runs for tag in run.scalars if is_loss(tag)}
  return {tag: [run.scalars.get(tag, {}) for run in runs] for tag in sorted(tags)}


def environment(runs: list[Run]) -> dict[str, list]:
  """Returns {what: [value at the last start of each run]}; runs made before this was kept have none."""
  last_starts = [run.starts[-1] if run.starts else {} for run in runs]
  names = dict.fromkeys(name for start in last_starts for name in start if name not in ('step', 'changes'))
  table = {
      'starts': [len(run.starts) or '' for run in runs],
      'changes': [changes(run) for run in runs],
      'data': [run.data for run in runs],
  }
  return table | {name: [start.get(name, '') for start in last_starts] for name in names}


def changes(run: Run) -> str:
  """Says at which steps a run was resumed with changes, and with which."""
  return '; '.join(f'from step {start["step"]}: {", ".join(start["changes"])}'
                   for start in run.starts if start.get('changes'))


def fields(runs: list[Run]) -> dict[str, list]:
  """Returns {field of the config: [value in each run]}."""
  configs = [records.flatten(run.config) for run in runs]
  names = sorted({name for config in configs for name in config})
  return {name: [config.get(name, '') for config in configs] for name in names}


def make_curves(plotted: dict[str, list[dict[int, float]]], smoothed: bool) -> list[Curve]:
  """Plots {name: [{step: value} of each run]}, a small plot for each name; those without any value are left out."""
  curves = []
  for name, lines in plotted.items():
    drawn = [(colour(place), by_step) for place, by_step in enumerate(lines) if by_step]
    if drawn:
      curves.append(Curve(name, encode(pictures.plot_curves(drawn, smoothed))))
  return curves


def make_samples(runs: list[Run]) -> Samples | None:
  """Collects the sample grids of each run and seed, and the training data last; None where there are no grids."""
  series = [make_series(run, seed) for run in runs for seed in run.grids]
  if not series:
    return None
  # Runs on the same data show it once.
  real = dict.fromkeys(run.real.read_bytes() for run in runs if run.real)
  series += [[Grid(0, 'training data', encode(png))] for png in real]
  steps = [grid.step for grids in series for grid in grids]
  return Samples(min(steps), max(steps), series)


def make_series(run: Run, seed: str) -> list[Grid]:
  """Reads the sample grids of a run's seed, in order of the steps."""
  name = f'{run.name} seed {seed}' if seed else run.name
  files = thinned(run.grids[seed])
  return [Grid(step, f'{name} step {step}', encode(file.read_bytes())) for step, file in files.items()]


def encode(contents: bytes) -> str:
  """Returns the contents of a file as base64, which a page can hold."""
  return base64.b64encode(contents).decode()
