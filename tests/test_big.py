"""The official size: a made-up network of 1024² is read, searched in; its memory and seconds hold.

It takes half a minute of a core, so it runs at night only: pytest --hypothesis-profile=night.
"""

import os
import subprocess
import sys

import pytest
from hypothesis import settings

MOST = 6e9  # bytes, resident, of the whole process
LONGEST = 6  # seconds of one core, a step
PROGRAM = """
import resource, time, torch
from course_lib.losses import lite0_loss
from course_lib.projection import project
from tests.benchmarks.bench_big import made_up

big = made_up(1024)
assert big.has_discriminator and big.num_ws == 18 and big.latent_shape("w_plus") == (18, 512)
photo = torch.rand(3, 1024, 1024, generator=torch.Generator().manual_seed(1))
found = project(big, photo, space="w_plus", steps=1)  # as the discriminator sees it
assert found.image.shape == (1, 3, 1024, 1024) and found.image.isfinite().all()
assert (found.latent != big.latent_mean("w_plus")).any()
clock = []
project(big, photo, space="w_plus", steps=3, loss=lite0_loss(),
        callback=lambda step, image: clock.append(time.process_time()))
print(1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, clock[-1] - clock[-2])
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux counts in kilobytes")
def test_a_search_in_a_network_of_the_official_size_fits_into_memory_and_six_seconds_a_step():
    if settings.get_current_profile_name() != "night":
        pytest.skip("half a minute of a core: at night")
    one_core = os.environ | {"OMP_NUM_THREADS": "1"}  # several wait for one another, busily
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True,
                          env=one_core)
    assert done.returncode == 0, done.stderr[-2000:]
    memory, seconds = map(float, done.stdout.split()[-2:])
    assert 1e9 < memory < MOST
    assert 0 < seconds < LONGEST
