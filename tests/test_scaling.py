"""benchmarks/scaling.py: what a compiled program sends, and the estimate, against values worked out by hand."""
import pytest

from benchmarks import scaling

HLO = '''HloModule jit_train_steps, is_scheduled=true

%add (a: f32[], b: f32[]) -> f32[] {
  ROOT %sum = f32[] add(%a, %b)
}

%critic (p: (s32[], f32[8])) -> (s32[], f32[8]) {
  %all-reduce.1 = (f32[4,2]{1,0}, /*index=1*/bf16[3]{0}) all-reduce(%x, %y), channel_id=1, to_apply=%add
  ROOT %t = (s32[], f32[8]) tuple(%i, %z)
}

%step (q: (s32[], f32[8])) -> (s32[], f32[8]) {
  %w = (s32[], f32[8]) while(%q), condition=%c, body=%critic, backend_config={"known_trip_count":{"n":"5"}}
  %all-reduce.2 = f32[] all-reduce(%loss), channel_id=2, to_apply=%add
  %gathered = f32[8]{0} all-gather(%part), channel_id=3, dimensions={0}
  ROOT %u = (s32[], f32[8]) tuple(%i, %z)
}

%c (q: (s32[], f32[8])) -> pred[] {
  ROOT %less = pred[] compare(%i, %n), direction=LT
}

ENTRY %main (state: f32[8]) -> f32[8] {
  %steps = (s32[], f32[8]) while(%init), condition=%c, body=%step
  ROOT %r = f32[8]{0} get-tuple-element(%steps), index=1
}
'''


def test_collectives_in_a_loop_count_as_often_as_it_runs():
  sent = scaling.traffic(HLO)
  assert sent.counts == {'all-reduce': 5 + 1, 'all-gather': 1}
  assert sent.sizes == {'all-reduce': 5 * (4 * 2 * 4 + 3 * 2) + 4, 'all-gather': 32}


@pytest.mark.parametrize('chips, sending, waiting', [
    (8, 2 * 7 / 8 * 0.02, 10 * 8e-6),  # 2x4: four hops to the farthest corner, and back
    (64, 2 * 63 / 64 * 0.02, 10 * 28e-6),
    (1024, 2 * 255 / 256 * 0.02 + 2 * 3 / 4 * 1e9 / (32 * 25e9), 10 * (32e-6 + 100e-6)),  # four slices of 32 hosts
])
def test_the_estimate_is_its_formula(chips, sending, waiting):
  found = scaling.estimate(scaling.CHIPS['v5e'], chips, flops=197e9, size=1e9, count=10, utilisation=0.1)
  assert found == pytest.approx((0.01, sending, waiting))
