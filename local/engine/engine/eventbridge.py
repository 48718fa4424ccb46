"""EventBridge invokes functions asynchronously, so a failed invocation is retried.

https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html
"""

import json
import logging

from ministack.services import eventbridge, lambda_svc

from engine.hooks import Hooks

logger = logging.getLogger("engine.eventbridge")


def install(hooks: Hooks) -> None:
    """Declares the hook on Lambda targets."""
    hooks.require(lambda_svc, "_get_func_record_for_ref", "_execution_record_for_config", "invoke_async_with_retry")

    @hooks.around(eventbridge, "_dispatch_to_lambda")
    def dispatch(_original, arn, payload):
        function, config, name = lambda_svc._get_func_record_for_ref(arn)
        if not function or not config:
            logger.warning("the target function of a rule does not exist: %s", name)
            return
        record = lambda_svc._execution_record_for_config(function, config)
        lambda_svc.invoke_async_with_retry(record, json.loads(payload))
