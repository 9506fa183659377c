"""Makes calls with client libraries on demand, as their users' programs would, and says what each library showed or raised.

Reads lines of JSON: {"client": its name, "method": what to do, "at": {"baseUrl", "key", "model"}}.
Answers each with a line: {"seen": …} or {"thrown": {"classes", "status", "message"}}.
"""

import json
import sys
import traceback

import anthropic_clients
import langchain_clients
import litellm_clients
import openai_clients

MODULES = (openai_clients, anthropic_clients, litellm_clients, langchain_clients)
CLIENTS = {client.name: client for module in MODULES for client in module.CLIENTS}

# What libraries print is not an answer.
answers, sys.stdout = sys.stdout, sys.stderr
for line in sys.stdin:
    asked = json.loads(line)
    try:
        answer = {"seen": getattr(CLIENTS[asked["client"]], asked["method"])(asked["at"])}
    except Exception as error:
        classes = [kind.__name__ for kind in type(error).__mro__]
        status = getattr(error, "status_code", None)
        answer = {"thrown": {"classes": classes, "status": status, "message": f"{error}\n{traceback.format_exc(limit=-3)}"}}
    print(json.dumps(answer), file=answers, flush=True)
