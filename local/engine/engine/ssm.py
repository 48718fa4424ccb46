"""Parameter Store: the limits on a parameter's size and name.

https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-advanced-parameters.html
"""

import re

from ministack.services import ssm

from engine.hooks import Hooks

_STANDARD_LIMIT = 4096
_ADVANCED_LIMIT = 8192
_NAME = re.compile(r"[a-zA-Z0-9_.\-/]{1,1011}")
_DEPTH_LIMIT = 15


def install(hooks: Hooks) -> None:
    """Declares the hook on PutParameter."""
    hooks.require(ssm, "_default_tier", "_parameters")

    @hooks.around(ssm, "_put_parameter")
    def put_parameter(original, data):
        name, value = data.get("Name") or "", data.get("Value") or ""
        if not _NAME.fullmatch(name):
            return _refusal(
                "ValidationException",
                'Parameter name: can\'t be prefixed with "ssm" (case-insensitive). If formed as a path, it can consist '
                "of sub-paths divided by slash symbol; each sub-path can be formed as a mix of letters, numbers and "
                "the following 3 symbols .-_",
            )
        if name.strip("/").count("/") >= _DEPTH_LIMIT:
            text = f"Hierarchy depth is greater than the limit of {_DEPTH_LIMIT}."
            return _refusal("HierarchyLevelLimitExceededException", text)
        if not value:
            text = (
                "Value '' at 'value' failed to satisfy constraint: Member must have length greater than or equal to 1."
            )
            return _refusal("ValidationException", text)
        tier = data.get("Tier") or ssm._default_tier(data, value, ssm._parameters.get(name))
        if len(value) > (_STANDARD_LIMIT if tier == "Standard" else _ADVANCED_LIMIT):
            return _refusal("ValidationException", _TOO_LARGE[tier == "Standard"])
        return original(data)


def _refusal(code: str, message: str) -> tuple:
    return ssm.error_response_json(code, message, 400)


_TOO_LARGE = {
    True: (
        f"Standard tier parameters support a maximum parameter value of {_STANDARD_LIMIT} characters. To create a "
        "larger parameter value, upgrade the parameter to use the advanced-parameter tier."
    ),
    False: f"Advanced tier parameters support a maximum parameter value of {_ADVANCED_LIMIT} characters.",
}
