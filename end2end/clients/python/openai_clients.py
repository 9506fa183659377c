"""The official `openai` library, by each of the APIs that it speaks."""

import json

from common import MESSAGES, PARAMETERS, QUESTION, TOOL, chat_counts, seen
from openai import OpenAI


def client(at, **more):
    return OpenAI(base_url=f"{at['baseUrl']}/v1", api_key=at["key"], **more)


class Chat:
    name = "openai (Python) chat"
    tools = [{"type": "function", "function": TOOL | {"strict": True}}]

    def create(self, at, **more):
        return client(at).chat.completions.create(**{"model": at["model"], "messages": MESSAGES} | more)

    def whole(self, at):
        answer = self.create(at)
        return seen(chat_counts(answer.usage), answer.choices[0].message.content)

    def streamed(self, at):
        text, usage = "", None
        for chunk in self.create(at, stream=True, stream_options={"include_usage": True}):
            text += "".join(choice.delta.content or "" for choice in chunk.choices)
            usage = chunk.usage or usage
        return seen(chat_counts(usage), text)

    def called(self, message):
        function = message.tool_calls[0].function
        return {"name": function.name, "input": json.loads(function.arguments)}

    def tool(self, at):
        message = self.create(at, tools=self.tools).choices[0].message
        result = {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": "12 °C"}
        last = self.create(at, tools=self.tools, messages=[*MESSAGES, message, result])
        return seen(chat_counts(last.usage), last.choices[0].message.content, self.called(message))

    def tool_streamed(self, at):
        # By the library's own reader of streams, which puts the pieces together.
        asked = {"model": at["model"], "messages": MESSAGES, "tools": self.tools, "stream_options": {"include_usage": True}}
        with client(at).chat.completions.stream(**asked) as stream:
            answer = stream.get_final_completion()
        return seen(chat_counts(answer.usage), tool=self.called(answer.choices[0].message))

    def leave(self, at):
        with self.create(at, stream=True) as stream:
            for chunk in stream:
                if chunk.choices[0].delta.content:
                    return

    def give_up(self, at):
        client(at, timeout=1, max_retries=0).chat.completions.create(model=at["model"], messages=MESSAGES)


class Responses:
    name = "openai (Python) responses"
    tools = [{"type": "function", "name": TOOL["name"], "parameters": PARAMETERS, "strict": True}]

    def create(self, at, **more):
        return client(at).responses.create(**{"model": at["model"], "input": QUESTION} | more)

    def call(self, response):
        return next((item for item in response.output if item.type == "function_call"), None)

    def seen(self, response, called=None):
        usage = response.usage
        call = called or self.call(response)
        tool = call and {"name": call.name, "input": json.loads(call.arguments)}
        cached = usage.input_tokens_details.cached_tokens
        counts = {"input": usage.input_tokens, "output": usage.output_tokens, "cached": cached}
        return seen(counts, response.output_text, tool)

    def whole(self, at):
        return self.seen(self.create(at))

    def streamed(self, at):
        text, response = "", None
        for event in self.create(at, stream=True):
            if event.type == "response.output_text.delta":
                text += event.delta
            # The library hands an error over like any event.
            if event.type == "error":
                raise RuntimeError(event.message)
            if event.type == "response.completed":
                response = event.response
        return self.seen(response) | {"text": text}

    def tool(self, at):
        call = self.call(self.create(at, tools=self.tools))
        result = {"type": "function_call_output", "call_id": call.call_id, "output": "12 °C"}
        return self.seen(self.create(at, tools=self.tools, input=[*MESSAGES, call, result]), call)

    def tool_streamed(self, at):
        with client(at).responses.stream(model=at["model"], input=QUESTION, tools=self.tools) as stream:
            return self.seen(stream.get_final_response())

    def leave(self, at):
        with self.create(at, stream=True) as stream:
            for event in stream:
                if event.type == "response.output_text.delta":
                    return


class Completions:
    name = "openai (Python) completions"

    def create(self, at, **more):
        return client(at).completions.create(model=at["model"], prompt=QUESTION, **more)

    def whole(self, at):
        answer = self.create(at)
        return seen(chat_counts(answer.usage), answer.choices[0].text)

    def streamed(self, at):
        text, usage = "", None
        for chunk in self.create(at, stream=True, stream_options={"include_usage": True}):
            text += "".join(choice.text for choice in chunk.choices)
            usage = chunk.usage or usage
        return seen(chat_counts(usage), text)

    def leave(self, at):
        with self.create(at, stream=True) as stream:
            next(iter(stream))


class Embeddings:
    name = "openai (Python) embeddings"

    def whole(self, at):
        answer = client(at).embeddings.create(model=at["model"], input=[QUESTION])
        return seen({"input": answer.usage.prompt_tokens}, vector=answer.data[0].embedding)


CLIENTS = [Chat(), Responses(), Completions(), Embeddings()]
