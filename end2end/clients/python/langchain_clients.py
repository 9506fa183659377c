"""LangChain's models of OpenAI (by chat completions and by Responses) and of Anthropic."""

from common import QUESTION, TOOL, seen
from langchain_anthropic import ChatAnthropic
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_openai import ChatOpenAI, OpenAIEmbeddings


def openai(at, **more):
    return ChatOpenAI(model=at["model"], base_url=f"{at['baseUrl']}/v1", api_key=at["key"], **more)


def anthropic(at):
    return ChatAnthropic(model=at["model"], base_url=at["baseUrl"], api_key=at["key"])


class Model:
    def __init__(self, name, open):
        self.name, self.open = name, open

    def seen(self, message, called=None):
        usage = message.usage_metadata
        call = called or next(iter(message.tool_calls), None)
        cached = usage["input_token_details"].get("cache_read", 0)
        counts = {"input": usage["input_tokens"], "output": usage["output_tokens"], "cached": cached}
        return seen(counts, message.text, call and {"name": call["name"], "input": call["args"]})

    def sum(self, chunks):
        first, *others = chunks
        return sum(others, first)

    def whole(self, at):
        return self.seen(self.open(at).invoke(QUESTION))

    def streamed(self, at):
        return self.seen(self.sum(self.open(at).stream(QUESTION)))

    def tool_streamed(self, at):
        return self.seen(self.sum(self.open(at).bind_tools([TOOL]).stream(QUESTION)))

    def tool(self, at):
        model = self.open(at).bind_tools([TOOL])
        first = model.invoke(QUESTION)
        call = first.tool_calls[0]
        return self.seen(model.invoke([HumanMessage(QUESTION), first, ToolMessage("12 °C", tool_call_id=call["id"])]), call)

    def leave(self, at):
        stream = self.open(at).stream(QUESTION)
        for chunk in stream:
            if chunk.text:
                return stream.close()


class Embeddings:
    name = "langchain-openai embeddings"

    def whole(self, at):
        # Counting tokens itself, as it would by default, it downloads a tokenizer.
        opened = OpenAIEmbeddings(model=at["model"], base_url=f"{at['baseUrl']}/v1", api_key=at["key"], check_embedding_ctx_length=False)
        return seen({}, vector=opened.embed_documents([QUESTION])[0])


CLIENTS = [
    Model("langchain-openai chat", lambda at: openai(at, stream_usage=True)),
    Model("langchain-openai responses", lambda at: openai(at, use_responses_api=True)),
    Model("langchain-anthropic", anthropic),
    Embeddings(),
]
