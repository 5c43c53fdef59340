"""Adapters: the tools of an agent in other frameworks, and agents of other frameworks as entrypoints of tasks.

    openai_agents  function_tools(tools)     notices(tools)   entrypoint(agent)
    langchain      structured_tools(tools)   notices(tools)   entrypoint(graph)
    pydantic_ai    SubactorsToolset(tools)   notices(tools)   entrypoint(agent)

Each module imports its own framework only, which the extra of that name installs. Nothing else imports them.
"""
