// A stdio server behind HTTP on the loopback address: what @modelcontextprotocol/conformance needs,
// which speaks only HTTP. It passes messages on as they are. One process for each client that
// sends `initialize`, and one for all requests that carry their protocol version.
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import { createInterface } from 'node:readline';

const VERSION = 'io.modelcontextprotocol/protocolVersion';
const SUBSCRIPTION = 'io.modelcontextprotocol/subscriptionId';
const STATUS = { '-32602': 400, '-32600': 400, '-32700': 400, '-32022': 400, '-32601': 404 };

class Server {
  constructor(box) {
    this.waiting = new Map();
    this.child = spawn(box.command, box.args, {
      stdio: ['pipe', 'pipe', box.stderr], env: box.env,
    });
    this.ended = new Promise((resolve) => { this.child.on('exit', resolve); });
    createInterface({ input: this.child.stdout }).on('line', (line) => this.receive(line));
  }

  receive(line) {
    const message = JSON.parse(line);
    const meta = message.params?._meta;
    const key = message.method
      ? meta?.[SUBSCRIPTION] ?? this.tokens?.get(message.params?.progressToken)
      : message.id;
    this.waiting.get(key)?.(message);
  }

  send(message, receive) {
    if (message.id !== undefined) {
      this.waiting.set(message.id, receive);
      const token = message.params?._meta?.progressToken;
      if (token !== undefined) (this.tokens ??= new Map()).set(token, message.id);
    }
    this.child.stdin.write(`${JSON.stringify(message)}\n`);
  }

  forget(id) {
    this.waiting.delete(id);
    this.send({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: id } });
  }

  async close() {
    this.child.stdin.end();
    await this.ended;
  }
}

function bodyOf(request) {
  return new Promise((resolve) => {
    let text = '';
    request.on('data', (bytes) => { text += bytes; });
    request.on('end', () => resolve(text));
  });
}

function reply(response, status, body, headers = {}) {
  response.writeHead(status, { 'content-type': 'application/json', ...headers });
  response.end(body === undefined ? undefined : JSON.stringify(body));
}

function event(message) {
  return `event: message\ndata: ${JSON.stringify(message)}\n\n`;
}

// An answer alone goes as JSON; with notifications before it, as a stream.
function forward(server, message, response, headers) {
  let isStream = false;
  const stream = () => {
    if (!isStream) response.writeHead(200, { 'content-type': 'text/event-stream', ...headers });
    isStream = true;
  };
  response.on('close', () => {
    if (!response.writableFinished) server.forget(message.id);
  });
  server.send(message, (back) => {
    if (back.method) {
      stream();
      response.write(event(back));
      return;
    }
    server.waiting.delete(message.id);
    if (isStream) response.end(event(back));
    else reply(response, STATUS[back.error?.code] ?? 200, back, headers);
  });
}

/** Starts it; `makeBox` gives the command line of each process. */
export async function openBridge(makeBox) {
  const sessions = new Map();
  let shared;

  const serverFor = (message, request) => {
    const id = request.headers['mcp-session-id'];
    if (id) return [sessions.get(id), id];
    const isModern = message.params?._meta?.[VERSION] !== undefined
      || request.headers['mcp-protocol-version'] === '2026-07-28';
    if (message.method === 'initialize' && !isModern) {
      const made = randomUUID();
      sessions.set(made, new Server(makeBox()));
      return [sessions.get(made), made];
    }
    shared ??= new Server(makeBox());
    return [shared, undefined];
  };

  const handle = async (request, response) => {
    if (request.method !== 'POST') return reply(response, 405);
    const message = JSON.parse(await bodyOf(request));
    const [server, id] = serverFor(message, request);
    if (!server) return reply(response, 404);
    if (message.id !== undefined) {
      return forward(server, message, response, id ? { 'mcp-session-id': id } : {});
    }
    server.send(message);
    return reply(response, 202);
  };

  const http = createServer((request, response) => {
    handle(request, response).catch((error) => reply(response, 500, { error: error.message }));
  });
  await new Promise((resolve) => { http.listen(0, '127.0.0.1', resolve); });
  return {
    url: `http://127.0.0.1:${http.address().port}/mcp`,
    async close() {
      http.close();
      http.closeAllConnections();
      await Promise.all([...sessions.values(), shared].filter(Boolean).map((one) => one.close()));
    },
  };
}
