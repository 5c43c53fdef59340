# fan_out.py
"""Three agents at the same time, each of another framework.

In a clone of the repository, with a key:

    pip install '.[frameworks]'
    cd examples/frameworks
    OPENAI_API_KEY=… python fan_out.py
"""

from subactors.runtime import Runtime

with Runtime.from_file("team.yaml") as runtime:
    tasks = [runtime.run(agent, f"How long do {agent} live?") for agent in ("ants", "bees", "wasps")]
    for task in tasks:
        print(task.agent, task.result(timeout=60), task.view().usage.output_tokens)
