"""References to the environment in values of a team file."""

from __future__ import annotations

import pytest
from subactors.runtime.team.expansion import expand, expand_variable, referenced

ENVIRON = {"A": "one", "EMPTY": ""}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("${env.A}/${env.A}", "one/one"),
        ("${env.NO || 'two'}", "two"),
        ('${env.EMPTY || "two"}', "two"),
        ("${env.A || 'two'}", "one"),
        ("${env.EMPTY}", ""),
        ("$A ${A} $$ ${headers.A} $1", "$A ${A} $$ ${headers.A} $1"),
    ],
)
def test_a_reference_is_replaced_and_any_other_dollar_is_left(text: str, expected: str) -> None:
    assert expand(text, ENVIRON) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("$A ${A} ${env.A}", "one one one"), ("$$A", "$A"), ("5$ 5$5", "5$ 5$5"), ("${NO || ''}", "")],
)
def test_a_variables_value_may_refer_as_a_shell_does(text: str, expected: str) -> None:
    assert expand_variable(text, ENVIRON) == expected


def test_a_variable_that_is_not_set_is_named() -> None:
    for attempt in (lambda: expand("${env.NO}", ENVIRON), lambda: expand_variable("$NO", ENVIRON)):
        with pytest.raises(ValueError, match=r"^The environment variable NO is not set\.$"):
            attempt()


@pytest.mark.parametrize("text", ["${env.}", "${env.A.B}", "${env.A || B}"])
def test_what_is_not_understood_is_named(text: str) -> None:
    with pytest.raises(ValueError, match="is not understood"):
        expand(text, ENVIRON)


def test_what_a_value_refers_to_is_known_in_either_form() -> None:
    assert referenced("${env.A} $B ${C} $$D ${env.E || 'x'}") == ("A", "B", "C", "E")
