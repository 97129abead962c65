"""The fully connected GAN (Goodfellow et al. 2014) on handwritten digits, 28x28.

    python main.py --config=configs/gan.py --workdir=/tmp/gan

Hardware: two CPU cores (AMD EPYC, AVX2). Time: a minute and a half, and as much for the first evaluation on a machine.
Expect: speckled digits, as this network makes them; all classes, but unevenly, 3 to 22 % each.
"""
from configs import base


def get_config(variant: str = ''):
  """Returns the experiment; `configs/gan.py:test` is tiny."""
  config = base.get_adversarial_config()
  config.batch_size = 32
  # 200 epochs of 156 steps, a grid after each.
  config.num_steps, config.sample_every, config.checkpoint_every, config.log_every = 31_200, 156, 7_800, 156
  config.eval_every = 31_200
  config.z_dim = 126
  config.generator = base.mlp_generator(hidden=(256,))
  config.critic = base.mlp_critic(hidden=(128,), leak=0.01)
  config.optimizer.generator_learning_rate = config.optimizer.critic_learning_rate = 3e-4
  config.optimizer.b2 = 0.999
  return base.variant_of(config, variant, test=test)


def test(config):
  """A run of seconds."""
  config.generator.hidden = config.critic.hidden = (8,)
  return base.test_size(config)
