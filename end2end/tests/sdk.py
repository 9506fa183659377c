"""Calls the proxy with the official Python SDK, as a customer's program would, and prints what the SDK saw.

Usage: sdk.py BASE_URL MODEL, with the key in OPENAI_API_KEY. Prints a JSON list of
{"id": x-request-id, "stream": bool, "text": str, "usage": {...}}.
"""

import json
import sys

from openai import OpenAI

base_url, model = sys.argv[1:]
# A retry would be a second call: a failure shall fail the test instead.
completions = OpenAI(base_url=base_url, max_retries=0).chat.completions.with_raw_response
messages = [{"role": "user", "content": "Say something short in Python."}]


def counts(usage):
    return {name: getattr(usage, name) for name in ("prompt_tokens", "completion_tokens", "total_tokens")}


def whole():
    answer = completions.create(model=model, messages=messages)
    completion = answer.parse()
    return {
        "id": answer.headers["x-request-id"],
        "stream": False,
        "text": completion.choices[0].message.content,
        "usage": counts(completion.usage),
    }


def streamed():
    answer = completions.create(model=model, messages=messages, stream=True, stream_options={"include_usage": True})
    text, usage = "", None
    for chunk in answer.parse():
        text += "".join(choice.delta.content or "" for choice in chunk.choices)
        usage = chunk.usage or usage
    return {"id": answer.headers["x-request-id"], "stream": True, "text": text, "usage": counts(usage)}


json.dump([whole(), streamed()], sys.stdout)
