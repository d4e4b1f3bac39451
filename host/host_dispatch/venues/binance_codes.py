"""Binance's error codes: what each means for a request, spot and USD-M together (their numbers do not clash).

Sources and marks as in :mod:`host_dispatch.venues.binance`.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from host_dispatch.outcome import ErrorClass
from host_dispatch.venues.fields import coded, first_of

if TYPE_CHECKING:
    from collections.abc import Mapping

# Answers that say nothing about whether the order was placed (D: "execution status unknown").
OUTCOME_UNKNOWN: Final = frozenset({"-1000", "-1001", "-1006", "-1007"})

# Turned away before the matching engine even with a 5xx: -1008 "server is currently overloaded" (D), -1016
# (D).
BEFORE_MATCHING: Final = frozenset({"-1008", "-1016"})

CODES: Final[Mapping[str, ErrorClass]] = MappingProxyType(
    {
        **coded(ErrorClass.RATE_LIMITED, "-1003 -1015 -1034 -5041"),
        **coded(ErrorClass.INSUFFICIENT_FUNDS, "-2018 -2019 -4050 -4051 -5013"),
        **coded(ErrorClass.BAD_SYMBOL, "-1108 -1110 -1121 -4144"),
        # -2015 is "Invalid API-key, IP, or permissions for action": the venue does not tell the three apart.
        **coded(ErrorClass.BAD_SIGNATURE, "-1022 -1099 -2008 -2014 -2015 -4056 -4057"),
        "-1021": ErrorClass.CLOCK_OR_NONCE,
        # USD-M "ClientOrderId is duplicated" (D); ccxt calls it a bare ExchangeError. -4111 is its length
        # rule.
        "-4116": ErrorClass.DUPLICATE_CLIENT_ID,
        **coded(ErrorClass.UNKNOWN_ORDER, "-2013 -2026"),
        # USD-M "Post Only order will be rejected" (D).
        "-5022": ErrorClass.WOULD_TAKE,
        **coded(
            ErrorClass.PERMISSION,
            """
            -1002 -2016 -2017 -2023 -4087 -4088 -4192 -4202 -4400 -4401 -4402 -4403
            """,
        ),
        **coded(ErrorClass.MAINTENANCE, "-1008 -1016 -4077 -4084"),
        **coded(
            ErrorClass.INVALID_ORDER,
            """
            -1013 -1014 -1020 -1023 -1100 -1101 -1102 -1103 -1104 -1105 -1106 -1111 -1112 -1114 -1115
            -1116 -1117 -1118 -1119 -1120 -1122 -1125 -1127 -1128 -1130 -1131 -1135 -1145 -1151 -1160 -1165
            -1166 -1167 -1168 -1169 -1170 -2038 -2039
            """,
        ),
        **coded(
            ErrorClass.INVALID_ORDER,
            """
            -2020 -2021 -2022 -2024 -2025 -2027 -2028 -4001 -4002 -4003 -4004 -4005 -4006 -4007 -4008
            -4009 -4010 -4013 -4014 -4015 -4016 -4023 -4024 -4025 -4029 -4030 -4045 -4055 -4058 -4060
            -4061 -4062 -4111 -4115 -4118 -4120 -4131 -4137 -4138 -4139 -4140 -4142 -4161 -4164 -4183
            -4184 -5021 -5024 -5025 -5026 -5027 -5028 -5037 -5038 -5039 -5040
            """,
        ),
    },
)

# One code, many meanings: the text decides (D: errors.md lists the texts under -1010, -2010 and -2011).
_TEXTS: Final = (
    ("insufficient balance", ErrorClass.INSUFFICIENT_FUNDS),
    ("duplicate order sent", ErrorClass.DUPLICATE_CLIENT_ID),
    ("immediately match and take", ErrorClass.WOULD_TAKE),
    ("unknown order sent", ErrorClass.UNKNOWN_ORDER),
    ("order was not found", ErrorClass.UNKNOWN_ORDER),
    ("market is closed", ErrorClass.MAINTENANCE),
    ("may not place or cancel orders", ErrorClass.PERMISSION),
    ("not enabled", ErrorClass.PERMISSION),
    ("action is disabled", ErrorClass.PERMISSION),
    ("not permitted", ErrorClass.PERMISSION),
    ("restricted", ErrorClass.PERMISSION),
)
_REJECTED_BY_TEXT: Final = frozenset({"-2010", "-2011", "-2015"})


def classify(code: str, message: str) -> ErrorClass:
    """Class of a code with its text; UNKNOWN for one that is not listed."""
    if code in OUTCOME_UNKNOWN:
        return ErrorClass.UNKNOWN
    if code in _REJECTED_BY_TEXT:
        return first_of(_TEXTS, message) or CODES.get(code, ErrorClass.INVALID_ORDER)
    return CODES.get(code, ErrorClass.UNKNOWN)
