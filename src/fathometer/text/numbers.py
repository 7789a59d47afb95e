"""Numbers as people read them: few digits, powers with superscripts."""

from math import isfinite, isnan

_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def number_text(value: float | None) -> str:
    """Return a number in two or three digits.

    >>> [number_text(value) for value in (None, 0.0, 0.0371, 2.3026, 1797.0, 3.14e-12, 1e-9)]
    ['unknown', '0', '0.0371', '2.3', '1,797', '3.1×10⁻¹²', '10⁻⁹']
    """
    if value is None:
        return "unknown"
    if not isfinite(value):
        return "not a number" if isnan(value) else ("infinite" if value > 0 else "minus infinite")
    if value == 0:
        return "0"
    if not 0.001 <= abs(value) < 99_999.5:
        digits, exponent = f"{value:.1e}".split("e")
        power = power_text(int(exponent))
        return power if digits == "1.0" else f"{digits.removesuffix('.0')}×{power}"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def power_text(exponent: int) -> str:
    """Return a power of ten as it is written, with 1 for the power 0.

    >>> [power_text(exponent) for exponent in (-12, 0, 1)]
    ['10⁻¹²', '1', '10']
    """
    plain = {0: "1", 1: "10"}
    return plain.get(exponent, "10" + str(exponent).translate(_SUPERSCRIPTS))
