"""LiteLLM as a library, in OpenAI's and in Anthropic's language."""

import json

import litellm
from common import MESSAGES, QUESTION, TOOL, chat_counts, seen


class Completion:
    tools = [{"type": "function", "function": TOOL}]

    def __init__(self, provider, path):
        self.name = f"litellm (Python) {provider}"
        self.provider, self.path = provider, path

    def create(self, at, **more):
        where = {"model": f"{self.provider}/{at['model']}", "api_base": at["baseUrl"] + self.path, "api_key": at["key"]}
        return litellm.completion(**where | {"messages": MESSAGES} | more)

    def call(self, message):
        return message.tool_calls and message.tool_calls[0]

    def seen(self, answer, called=None):
        message = answer.choices[0].message
        call = called or self.call(message)
        tool = call and {"name": call.function.name, "input": json.loads(call.function.arguments)}
        return seen(chat_counts(answer.usage), message.content, tool)

    def whole(self, at):
        return self.seen(self.create(at))

    def stream(self, at, **more):
        stream = self.create(at, stream=True, stream_options={"include_usage": True}, **more)
        return self.seen(litellm.stream_chunk_builder(list(stream)))

    def streamed(self, at):
        return self.stream(at)

    def tool_streamed(self, at):
        return self.stream(at, tools=self.tools)

    def tool(self, at):
        message = self.create(at, tools=self.tools).choices[0].message
        call = self.call(message)
        result = {"role": "tool", "tool_call_id": call.id, "content": "12 °C"}
        return self.seen(self.create(at, tools=self.tools, messages=[*MESSAGES, message, result]), call)

    def leave(self, at):
        stream = self.create(at, stream=True)
        for chunk in stream:
            if chunk.choices[0].delta.content:
                return stream.close()


class Embedding:
    name = "litellm (Python) embeddings"

    def whole(self, at):
        where = {"model": f"openai/{at['model']}", "api_base": f"{at['baseUrl']}/v1", "api_key": at["key"]}
        answer = litellm.embedding(input=[QUESTION], **where)
        return seen({"input": answer.usage.prompt_tokens}, vector=answer.data[0]["embedding"])


CLIENTS = [Completion("openai", "/v1"), Completion("anthropic", ""), Embedding()]
