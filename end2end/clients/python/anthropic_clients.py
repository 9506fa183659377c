"""The official `anthropic` library."""

from anthropic import Anthropic
from common import MESSAGES, PARAMETERS, TOOL, seen


class Messages:
    name = "anthropic (Python)"
    tools = [{"name": TOOL["name"], "input_schema": PARAMETERS}]

    def messages(self, at, **more):
        return Anthropic(base_url=at["baseUrl"], api_key=at["key"], **more).messages

    def request(self, at, **more):
        return {"model": at["model"], "max_tokens": 512, "messages": MESSAGES} | more

    def call(self, message):
        return next((block for block in message.content if block.type == "tool_use"), None)

    def seen(self, message, called=None):
        usage, call = message.usage, called or self.call(message)
        cached = usage.cache_read_input_tokens or 0
        prompt = usage.input_tokens + cached + (usage.cache_creation_input_tokens or 0)
        text = "".join(block.text for block in message.content if block.type == "text")
        tool = call and {"name": call.name, "input": call.input}
        return seen({"input": prompt, "cached": cached, "output": usage.output_tokens}, text, tool)

    def whole(self, at):
        return self.seen(self.messages(at).create(**self.request(at)))

    def streamed(self, at):
        with self.messages(at).stream(**self.request(at)) as stream:
            return self.seen(stream.get_final_message())

    def tool(self, at):
        first = self.messages(at).create(**self.request(at, tools=self.tools))
        call = self.call(first)
        result = {"type": "tool_result", "tool_use_id": call.id, "content": "12 °C"}
        history = [*MESSAGES, {"role": "assistant", "content": first.content}, {"role": "user", "content": [result]}]
        return self.seen(self.messages(at).create(**self.request(at, tools=self.tools, messages=history)), call)

    def tool_streamed(self, at):
        with self.messages(at).stream(**self.request(at, tools=self.tools)) as stream:
            return self.seen(stream.get_final_message())

    def leave(self, at):
        with self.messages(at).create(**self.request(at, stream=True)) as stream:
            for event in stream:
                if event.type == "content_block_delta":
                    return

    def give_up(self, at):
        self.messages(at, timeout=1, max_retries=0).create(**self.request(at))


CLIENTS = [Messages()]
