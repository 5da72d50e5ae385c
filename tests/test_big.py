"""The official size: a made-up network of 1024² is read, searched in, and fits into memory.

It takes half a minute of a core, so it runs at night only: pytest --hypothesis-profile=night.
"""

import subprocess
import sys

import pytest
from hypothesis import settings

MOST = 6e9  # bytes, resident, of the whole process
PROGRAM = """
import resource, torch
from course_lib.projection import project
from tests.benchmarks.bench_big import made_up

big = made_up(1024)
assert big.has_discriminator and big.num_ws == 18 and big.latent_shape("w_plus") == (18, 512)
photo = torch.rand(3, 1024, 1024, generator=torch.Generator().manual_seed(1))
found = project(big, photo, space="w_plus", steps=1)
assert found.image.shape == (1, 3, 1024, 1024) and found.image.isfinite().all()
assert (found.latent != big.latent_mean("w_plus")).any()
print(1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux counts in kilobytes")
def test_a_search_in_a_network_of_the_official_size_fits_into_memory():
    if settings.get_current_profile_name() != "night":
        pytest.skip("half a minute of a core: at night")
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert 1e9 < int(done.stdout.split()[-1]) < MOST
