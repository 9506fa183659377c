"""What the clients share: how to say what a library showed of an answer, in the upstream's terms."""

QUESTION = "What is a farebox?"
PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": False}
TOOL = {"name": "get_weather", "description": "The weather of a city.", "parameters": PARAMETERS}
MESSAGES = [{"role": "user", "content": QUESTION}]


def seen(counts, text=None, tool=None, vector=None):
    said = {"text": text or None, "tool": tool, "vector": vector}
    return {"counts": counts} | {name: value for name, value in said.items() if value is not None}


def chat_counts(usage):
    details = usage.prompt_tokens_details
    cached = details.cached_tokens if details else None
    return {"input": usage.prompt_tokens, "output": usage.completion_tokens, "cached": cached or 0}
