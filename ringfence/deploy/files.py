"""TOML files into pydantic models, and pydantic's complaints into lines that people can act on."""

from __future__ import annotations

import tomllib
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated, Any, TypeVar

from eth_utils.address import is_checksum_address
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

from ringfence.deploy.errors import FileError


class Table(BaseModel):
    """A table of a TOML file: immutable, and every key of it known."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


Model = TypeVar("Model", bound=BaseModel)


def refuse(text: str) -> PydanticCustomError:
    """Return the error that a validator raises to say `text` and nothing else."""
    return PydanticCustomError("bound", "{text}", {"text": text})


def _number(value: object) -> object:
    if isinstance(value, str):
        try:
            value = Decimal(value)
        except InvalidOperation:
            raise refuse(f'is {value!r}, not a number; write it as "1234.5"') from None
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise refuse(f'is {value!r}, not a number; write it as "1234.5"')
    value = Decimal(value)
    if not value.is_finite() or value < 0:
        raise refuse(f"is {value}; it must be a finite number, zero or more")
    return value


def _address(value: str) -> str:
    if not is_checksum_address(value):
        raise refuse(f"is {value!r}, not a checksummed address; copy it from the token's own page")
    return value


Number = Annotated[Decimal, BeforeValidator(_number)]
"""A number of zero or more, exact: a TOML number, or a string."""

Address = Annotated[str, AfterValidator(_address)]
"""20 bytes as 0x and 40 hex digits, checksummed."""


def _where(error: ErrorDetails) -> str:
    """Return the dotted path of what is wrong, without pydantic's tags of unions."""
    parts = [str(part) for part in error["loc"] if part not in ("chainlink", "morpho")]
    return ".".join(parts)


def _problem(error: ErrorDetails, model: type[BaseModel]) -> str:
    where = _where(error)
    kind = error["type"]
    if kind == "extra_forbidden":
        return f"{where} is not a known key; {_known(error, model)}"
    if kind == "missing":
        return f"{where} is missing; add it"
    if kind == "bound":
        return f"{where} {error['msg']}".strip()
    message = error["msg"][0].lower() + error["msg"][1:]
    return f"{where} is wrong: {message}"


def _known(error: ErrorDetails, model: type[BaseModel]) -> str:
    """Name the keys of the table in which an unknown one was found."""
    table: Any = model
    for part in error["loc"][:-1]:
        field = getattr(table, "model_fields", {}).get(part)
        annotation = None if field is None else field.annotation
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            return "remove it or correct its name"
        table = annotation
    return f"those known here are {', '.join(table.model_fields)}"


def parse(text: str, model: type[Model], name: str) -> Model:
    """Return TOML text as a model; raise FileError with every problem of it."""
    try:
        data = tomllib.loads(text, parse_float=Decimal)
    except tomllib.TOMLDecodeError as error:
        raise FileError(name, [f"is not TOML: {error}"]) from None
    try:
        return model.model_validate(data)
    except ValidationError as error:
        problems = [_problem(one, model) for one in error.errors()]
        raise FileError(name, problems) from None


def read(path: Path, model: type[Model]) -> Model:
    """Return a TOML file as a model; raise FileError when it is missing or wrong."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        problem = f"cannot be read: {error.strerror}; pass another file"
    except UnicodeDecodeError as error:
        problem = f"cannot be read: {error.reason}; save it as UTF-8 text"
    else:
        return parse(text, model, str(path))
    raise FileError(str(path), [problem])
