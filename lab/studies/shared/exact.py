"""Functions that give the same bits on every machine.

numpy and the C library round `exp` and `pow` in the last bit as the processor's vector instructions do, so that a text
made of them, and the hash of it, would be another on another processor. `decimal` computes without any.
"""

from decimal import Context, Decimal

_DIGITS = Context(prec=40)
"""A float has 17; with so many more, what is rounded to a float is as good as the exact value."""


def exp(x: float) -> float:
    """e ** x, the float that is nearest to it.

    >>> exp(1.0)
    2.718281828459045
    """
    return float(Decimal(x).exp(_DIGITS))


def power(base: float, exponent: float) -> float:
    """base ** exponent of a positive base, the float that is nearest to it.

    >>> power(2.0, 0.5)
    1.4142135623730951
    """
    return float(_DIGITS.power(Decimal(base), Decimal(exponent)))


def sigmoid(x: float) -> float:
    """1 / (1 + e ** -x).

    >>> sigmoid(0.0)
    0.5
    """
    return 1 / (1 + exp(-x))
