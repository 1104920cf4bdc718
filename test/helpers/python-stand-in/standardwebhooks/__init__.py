"""A stand-in for the package `standardwebhooks` of PyPI, for tests on machines that do not have it.

It has the package's documented interface and follows the public specification
(https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md), nothing more.
"""

import base64
import binascii
import hashlib
import hmac
import json
import time

TOLERANCE_SECONDS = 300


class WebhookVerificationError(Exception):
    pass


class Webhook:
    def __init__(self, secret):
        self._key = base64.b64decode(secret.removeprefix("whsec_"))

    def verify(self, data, headers):
        """Returns the parsed body; raises WebhookVerificationError when it is forged, or too old or too new."""
        named = {name.lower(): value for name, value in headers.items()}
        webhook_id = named.get("webhook-id")
        timestamp = named.get("webhook-timestamp", "")
        if not webhook_id or not timestamp.isdecimal():
            raise WebhookVerificationError("a header is missing or no number")
        if abs(time.time() - int(timestamp)) > TOLERANCE_SECONDS:
            raise WebhookVerificationError("the timestamp is too far off")
        expected = hmac.new(self._key, f"{webhook_id}.{timestamp}.".encode() + data, hashlib.sha256).digest()
        for signature in named.get("webhook-signature", "").split(" "):
            version, _, text = signature.partition(",")
            if version == "v1" and hmac.compare_digest(_decoded(text), expected):
                return json.loads(data)
        raise WebhookVerificationError("no signature fits")


def _decoded(text):
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        return b""
