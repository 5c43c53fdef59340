// An MCP client of npm: does with a server what its arguments say, and prints what came of it, as one line of JSON.
//
// node mcp_client.mjs MODULES WORK URL|COMMAND [ARGUMENT...]
import { pathToFileURL } from "node:url";

const [modules, work, target, ...rest] = process.argv.slice(2);
const load = (path) => import(pathToFileURL(`${modules}/@modelcontextprotocol/${path}`));
const { Client, StreamableHTTPClientTransport } = await load("client/dist/index.mjs");
const { StdioClientTransport } = await load("client/dist/stdio.mjs");
const isHttp = target.startsWith("http");
const token = process.env.MCP_TOKEN;
const headers = token ? { Authorization: `Bearer ${token}` } : {};

function transport() {
  if (isHttp) return new StreamableHTTPClientTransport(new URL(target), { requestInit: { headers } });
  return new StdioClientTransport({ command: target, args: rest, env: process.env });
}

const text = (answer) => answer.content.map((block) => block.text).join("");
const info = { name: "test", version: "1" };

async function fanOut() {
  const client = new Client(info, { capabilities: { elicitation: { form: {} } } });
  const notices = [];
  const asked = [];
  client.setRequestHandler("elicitation/create", async (request) => {
    asked.push(request.params.message);
    return { action: "accept", content: { answer: "Ada" } };
  });
  client.setNotificationHandler("notifications/message", ({ params }) => notices.push(params.data));
  await client.connect(transport());
  const call = (name, args, options) => client.callTool({ name, arguments: args }, options);
  const started = await Promise.all(
    ["waits", "echo", "echo", "echo", "worker"].map((agent) =>
      call("run_background_agent", {
        agent,
        task: agent === "worker" ? JSON.stringify([["user_prompt", { message: "Your name?" }]]) : agent,
      }),
    ),
  );
  const ids = started.map((answer) => answer.structuredContent.task_id);
  let live = "";
  while (!live.includes("---\nso far")) live = text(await call("view_background_agent", { task_id: ids[0] }));
  const listed = (await call("list_background_agents", {})).structuredContent.tasks.map((task) => task.id);
  const said = [];
  const first = call(
    "wait_background_agents",
    { task_ids: ids, timeout: 60 },
    { onprogress: ({ message }) => said.push(message) },
  );
  while (!said.length) await new Promise((resolve) => setTimeout(resolve, 10));
  const stopped = text(await call("stop_background_agent", { task_id: ids[0] }));
  const collected = (await first).structuredContent;
  while (notices.length < ids.length) await new Promise((resolve) => setTimeout(resolve, 10));
  await client.close();
  return { ids, live, listed, said, stopped, collected, asked, notices };
}

async function asTask() {
  const capabilities = { elicitation: { form: {} }, extensions: { "io.modelcontextprotocol/tasks": {} } };
  const { createTaskSessionFromClient } = await load("ext-tasks/dist/client/index.js");
  const client = new Client(info, { capabilities, versionNegotiation: { mode: "auto" } });
  await client.connect(transport());
  const era = client.getProtocolEra();
  let number = 1000;
  const rawDispatch = async (request) => {
    const id = number++;
    const { method, params } = request;
    const named = params.taskId ?? params.name;
    const answer = await fetch(target, {
      method: "POST",
      headers: {
        ...headers,
        "Content-Type": "application/json",
        Accept: "application/json, text/event-stream",
        "MCP-Protocol-Version": "2026-07-28",
        "Mcp-Method": method,
        "Mcp-Name": named,
      },
      body: JSON.stringify({ jsonrpc: "2.0", id, method, params }),
    });
    const { result, error } = await answer.json();
    return error === undefined ? { kind: "result", result } : { kind: "error", error };
  };
  const asked = [];
  const session = createTaskSessionFromClient(client, {
    endpointId: "test",
    rawDispatch,
    v2RequestFraming: { protocolVersion: "2026-07-28", clientInfo: info, clientCapabilities: capabilities },
    onInputRequest: async (request) => {
      asked.push(request.params.message);
      return { action: "accept", content: { answer: "Ada" } };
    },
  });
  const run = async (agent, task, onTask = () => {}) => {
    const execution = await session.callTool("run_background_agent", { agent, task });
    const { outcome } = await onTask(execution) ?? await execution.settle();
    return { kind: execution.kind, status: outcome.status, result: outcome.result, error: String(outcome.error) };
  };
  const answered = await run("worker", JSON.stringify([["user_prompt", { message: "Your name?" }]]));
  const failed = await run("fails", "x");
  const cancelled = await run("waits", "x", async (execution) => {
    await execution.cancel();
    return execution.settle();
  });
  await session.close();
  await client.close();
  return { era, asked, answered, failed, cancelled };
}

console.log(JSON.stringify(await { fanOut, asTask }[work]()));
process.exit(0);
