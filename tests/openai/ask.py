"""Asks questions through OpenAI's own client, each whole and as a stream, and prints what came as JSON lines.

Reads one JSON object from standard input: base_url, api_key, model, max_tokens, questions.
"""

import json
import sys

import openai


def ask(client, request):
    """The answer at once, and the answer put together from its chunks."""
    whole = client.chat.completions.create(**request)
    chunks, usage = [], None
    for chunk in client.chat.completions.create(**request, stream=True, stream_options={"include_usage": True}):
        usage = chunk.usage or usage
        chunks += [choice.delta.content for choice in chunk.choices if choice.delta.content]
    return {
        "text": whole.choices[0].message.content,
        "streamed": "".join(chunks),
        "chunks": len(chunks),
        "completion_tokens": whole.usage.completion_tokens,
        "streamed_tokens": usage.completion_tokens,
    }


def main():
    """Asks each question in turn."""
    order = json.load(sys.stdin)
    client = openai.OpenAI(base_url=order["base_url"], api_key=order["api_key"], timeout=600, max_retries=0)
    models = [model.id for model in client.models.list()]
    for question in order["questions"]:
        request = {
            "model": order["model"],
            "messages": [{"role": "user", "content": question}],
            "max_tokens": order["max_tokens"],
            "temperature": 0,
        }
        answer = ask(client, request) | {"models": models, "client": openai.__version__}
        print(json.dumps(answer), flush=True)


main()
