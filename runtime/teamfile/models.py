"""Models: checks `providers` and `models`, and finds what a reference to a model means.

It knows the forms of references; `requests` reads the keys about requests. It never reads the environment: keys and
addresses there are looked up when a client is made (`team/providers`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from ..team.config import PYTHON, ModelConfig
from ..team.function_by_value import Function
from ..team.functions import given
from ..team.providers import AUTO, PROVIDERS, url_fault
from ..team.references import TARGET_FORM, is_target
from .keys import MODEL, PROVIDER
from .requests import API_TYPE, expandable, read_cost, read_options, read_thinking_budget
from .values import Section, Value, listed, quoted

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Models", "named_function", "names_a_function", "read_entrypoint", "read_models"]

_REFERENCE_FORM = "Write it as `provider/model`, such as `openai/gpt-4o`"


class _OwnProvider(msgspec.Struct, frozen=True):
    """A provider that the team file defines."""

    base_url: str
    key_variables: tuple[str, ...]


class Models(msgspec.Struct, frozen=True):
    """Models and providers of a team file; None stands for one with mistakes, which have been noted.

    Attributes:
        models: by name.
        providers: by name in lower case.
        models_open: there may be more models than these, as `models` itself could not be read.
        providers_open: the same of `providers`.
    """

    models: Mapping[str, ModelConfig | None] = msgspec.field(default_factory=dict)
    providers: Mapping[str, _OwnProvider | None] = msgspec.field(default_factory=dict)
    models_open: bool = False
    providers_open: bool = False

    def find(self, value: Value) -> ModelConfig | None:
        """Return the model that a reference means; None if it is wrong, which then has been noted, here or before."""
        is_function = callable(value.node.value)
        reference = value.text(remedy=f"Name it: `{PYTHON}/{TARGET_FORM}`." if is_function else "")
        if reference is None:
            return None
        if reference in self.models:
            return self.models[reference]
        provider, slash, name = (part.strip() for part in reference.partition("/"))
        if "," in reference:
            value.report("Several models in turn are not supported by this version.", "Name one model.")
        elif reference == AUTO:
            return ModelConfig(reference=AUTO, provider=AUTO, name=AUTO)
        elif "${" in provider:
            value.report(
                f"{quoted(reference)} has no provider yet when the file is read.",
                "Write `provider/${env.NAME}`, or define the model under `models`.",
            )
        elif not slash:
            self._report_name(value, reference)
        elif not provider or not name:
            value.report(f"{quoted(reference)} names no {'model' if provider else 'provider'}.", f"{_REFERENCE_FORM}.")
        else:
            return self._at_provider(value, reference, provider.lower(), name)
        return None

    def _report_name(self, value: Value, reference: str) -> None:
        if self.models_open:
            return
        meant = value.nearest(reference, self.models)
        if meant is not None:
            remedy = f"Did you mean `{meant}`?"
        elif self.models:
            remedy = f"Defined are: {listed(self.models)}. {_REFERENCE_FORM} to use any other."
        else:
            remedy = f"{_REFERENCE_FORM}, or define it under `models`."
        value.report(f"There is no model {quoted(reference)} under `models`.", remedy)

    def _at_provider(self, value: Value, reference: str, provider: str, name: str) -> ModelConfig | None:
        """Return the model of a reference `provider/model`."""
        if provider == PYTHON:
            return _python_model(value, reference, name)
        if not expandable(value, name):
            return None
        if provider in self.providers:
            own = self.providers[provider]
            if own is None:
                return None
            return ModelConfig(
                reference=reference,
                provider=provider,
                name=name,
                base_url=own.base_url,
                key_variables=own.key_variables,
            )
        if provider not in PROVIDERS:
            self.report_provider(value, provider)
            return None
        known = PROVIDERS[provider]
        if not known.base_url:
            value.report(
                f"Provider `{provider}` has no address of its own.",
                "Define the model under `models`, with a `base_url`.",
            )
            return None
        return ModelConfig(reference=reference, provider=provider, name=name, key_variables=known.key_variables)

    def report_provider(self, value: Value, provider: str) -> None:
        """Note that there is no such provider."""
        if self.providers_open:
            return
        meant = value.nearest(provider, {*PROVIDERS, *self.providers, PYTHON})
        known = f"Did you mean `{meant}`?" if meant else f"Known are: {listed({*PROVIDERS, *self.providers, PYTHON})}."
        remedy = f"{known} Define any other under `providers`, or give the model a `base_url` in `models`."
        value.report(f"There is no provider {quoted(provider)}.", remedy)


def read_models(top: Section) -> Models:
    """Check `providers` and `models` of the file."""
    given = top.get("providers")
    entries = given.entries() if given is not None else {}
    providers = {name.lower(): _own_provider(value) for name, value in (entries or {}).items()}
    known = Models(providers=providers, providers_open=entries is None or "providers" in top.misspelt)

    given = top.get("models")
    entries = given.entries() if given is not None else {}
    models = {name: _model(name, value, known) for name, value in (entries or {}).items()}
    return Models(
        models=models,
        providers=providers,
        models_open=entries is None or "models" in top.misspelt,
        providers_open=known.providers_open,
    )


def read_entrypoint(value: Value) -> Function | None:
    """Check the form of an `entrypoint`, or take a function that a program gives; nothing is imported."""
    function = value.node.value
    if callable(function):
        try:
            return given(function)
        except TypeError as error:
            value.report(str(error), f"Give a function that can be sent, or name one: `{TARGET_FORM}`.")
            return None
    return named_function(value)


def named_function(value: Value) -> str | None:
    """Read the name of a function, where in Python the function itself would do, too."""
    target = value.text(kind="the name of a function, or in Python a function", remedy=f"Write it as `{TARGET_FORM}`.")
    return target if target is not None and names_a_function(value, target, TARGET_FORM) else None


def names_a_function(value: Value, target: str, form: str) -> bool:
    """Check a target's form, and note what is wrong with it."""
    if not is_target(target):
        value.report(f"{quoted(target)} names no function.", f"Write it as `{form}`.")
        return False
    if target.startswith("__main__:"):
        value.report(
            f"{quoted(target)} is in the host's own script or session, which a task's process does not run.",
            "Put the function in a module that can be imported, or give `Runtime.from_mapping` the function itself.",
        )
        return False
    return True


def _python_model(value: Value, reference: str, target: str) -> ModelConfig | None:
    if not names_a_function(value, target, f"{PYTHON}/{TARGET_FORM}"):
        return None
    return ModelConfig(reference=reference, provider=PYTHON, name=target)


def _own_provider(value: Value) -> _OwnProvider | None:
    section = value.section(PROVIDER)
    if section is None:
        return None
    api_type = section.get("api_type")
    if api_type is not None:
        named = api_type.text()
        if named is not None and named != API_TYPE:
            api_type.report(f"The API type {quoted(named)} is not supported by this version.", f"Use `{API_TYPE}`.")
    base_url = _base_url(section)
    if base_url is None and not section.means("base_url"):
        value.report("This provider has no `base_url`.", "Give the root of its OpenAI-compatible endpoint.")
    key_variables = _key_variables(section)
    if base_url is None or key_variables is None:
        return None
    return _OwnProvider(base_url, key_variables)


def _model(name: str, value: Value, known: Models) -> ModelConfig | None:
    section = value.section(MODEL)
    if section is None:
        return None
    options, cost = read_options(section), read_cost(section.get("cost"))
    thinking_budget = read_thinking_budget(section, options)
    for key in ("provider", "model"):
        if not section.means(key):
            value.report(f"This model has no `{key}`.", f"Give it a `{key}`: a reference is `provider/model`.")
    provider_value, model_value = section.get("provider"), section.get("model")
    provider = provider_value.text() if provider_value is not None else None
    model = model_value.text() if model_value is not None else None
    base_url = _base_url(section)
    key_variables = _key_variables(section)
    if provider_value is None or model_value is None or provider is None or model is None:
        return None
    if "${" in provider:
        provider_value.report("A provider cannot come from the environment.", "Write its name.")
        return None
    provider = provider.lower()
    if provider == PYTHON:
        _report_without_effect(value, section)
        function = _python_model(model_value, name, model)
        return function and msgspec.structs.replace(function, cost=cost)
    where = _where(provider_value, provider, section, known)
    if not expandable(model_value, model) or where is None or key_variables is None:
        return None
    return ModelConfig(
        reference=name,
        provider=provider,
        name=model,
        base_url=base_url or where.base_url,
        key_variables=key_variables or where.key_variables,
        options=options,
        thinking_budget=thinking_budget,
        cost=cost,
    )


def _where(value: Value, provider: str, section: Section, known: Models) -> _OwnProvider | None:
    """Return what a model takes from its provider: the address, and the variables of the key for that address alone."""
    has_base_url = section.means("base_url")
    if provider in known.providers:
        own = known.providers[provider]
        return _OwnProvider("", ()) if own is not None and has_base_url else own
    if provider in PROVIDERS:
        builtin = PROVIDERS[provider]
        if not builtin.base_url:
            if not has_base_url:
                value.report(f"Provider `{provider}` has no address of its own.", "Give the model a `base_url`.")
            return _OwnProvider("", builtin.key_variables)
        # A key is for its provider: no other server gets it unless the file names it with `token_key`.
        given = section.get("base_url")
        elsewhere = given is not None and str(given.node.value).rstrip("/") != builtin.base_url
        return _OwnProvider("", () if elsewhere else builtin.key_variables)
    if not has_base_url:
        known.report_provider(value, provider)
        return None
    return _OwnProvider("", ())


def _report_without_effect(value: Value, section: Section) -> None:
    without = [key for key in section.values if key not in ("provider", "model", "cost")]
    if without:
        value.report(
            f"A model of provider `{PYTHON}` is a function; without effect: {listed(without)}.", "Remove these keys."
        )


def _base_url(section: Section) -> str | None:
    given = section.get("base_url")
    url = given.text() if given is not None else None
    if given is None or url is None:
        return None
    if "${" in url:
        return url if expandable(given, url) else None  # looked at again with what the environment holds
    fault = url_fault(url)
    if fault is not None:
        remedy = "Write it like `https://host/v1`; a key goes into an environment variable that `token_key` names."
        given.report(f"The address {fault}.", remedy)
        return None
    return url


def _key_variables(section: Section) -> tuple[str, ...] | None:
    """Return the variable that `token_key` names, if any; None if it is wrong. It may be a key itself: never shown."""
    given = section.get("token_key")
    if given is None:
        return ()
    name = given.text()
    if name is None:
        return None
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        given.report(
            "This is not the name of an environment variable.",
            "Write the name of the variable that holds the key, such as OPENAI_API_KEY, never the key.",
        )
        return None
    return (name,)
