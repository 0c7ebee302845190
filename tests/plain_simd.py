"""An environment in which numbers are rounded as on another processor: `python -m tests.plain_simd ...` runs pytest so.

Each library is held down to the instructions that every x86-64 processor has. Sums, products and `exp` then differ in
their last bits from those of this machine, as they do between two machines.
"""

import os
import sys


def environment():
    """Variables that numpy, torch and the C library read as they are loaded; with none of them, numbers are as ever."""
    from numpy._core._multiarray_umath import __cpu_dispatch__  # what numpy was built to choose from on this machine

    return {
        "NPY_DISABLE_CPU_FEATURES": " ".join(__cpu_dispatch__),
        "OPENBLAS_CORETYPE": "Prescott",  # numpy's and scipy's products of matrices
        "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2,-FMA,-FMA4",  # exp, log and pow, of numpy's float64 too
        "ATEN_CPU_CAPABILITY": "default",
        "MKL_CBWR": "COMPATIBLE",  # torch's products of matrices
        "ONEDNN_MAX_CPU_ISA": "SSE41",
    }


if __name__ == "__main__":
    command = [sys.executable, "-m", "pytest", *sys.argv[1:]]
    os.execve(sys.executable, command, os.environ | environment())
