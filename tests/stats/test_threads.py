"""A fit has one thread, whatever was loaded when."""

import os
import subprocess
import sys


def test_a_first_fit_has_one_thread_in_scipys_blas_too():
    """scipy brings a BLAS of its own, and a fit that imports it would run its first time on all cores."""
    code = """
from threadpoolctl import threadpool_info
from lab.stats.threads import one_thread
import numpy

def threads():
    import scipy.linalg
    return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]

print(one_thread(threads)(), threads(), one_thread(threads)())
"""
    env = {**os.environ, "OPENBLAS_NUM_THREADS": "2"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env)
    assert done.stdout.strip() == "[1, 1] [2, 2] [1, 1]", done.stderr
