"""The data set of a run, read again after the training: where it lies now, and whether it still is the same."""
from etils import epath

from gans.data.dataset import Dataset
from gans.data.inventory import take_inventory
from gans.data.sources import load_dataset
from gans.errors import UserError
from gans.runs import workdirs


def load_own_data(folder: epath.Path, config) -> Dataset:
  """Loads the data set of the run or the packed model in a folder; `config` is its config, and says where they lie.

  Raises:
    UserError: the data set is not available, or its contents have changed since the training.
  """
  dataset = load_dataset(config.dataset)
  changes = workdirs.find_other_data(folder, dataset.spec, take_inventory(config.dataset, dataset))
  if changes:
    lines = '\n'.join(f'  {change}' for change in changes)
    raise UserError(f'{folder} was trained on other data than dataset.name={config.dataset.name!r} has now:\n{lines}\n'
                    'restore them; --mode=evaluate and nearest are told by --dataset.path or --dataset.data_dir where '
                    'they lie, and the others take --inputs')
  return dataset
