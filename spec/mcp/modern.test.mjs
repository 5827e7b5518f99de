// The client of the revision 2026-07-28, which has no handshake.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { Client } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import { cleanUp, fileAppears, isOurs, isThere, podman, sandbox, textOf } from './support.mjs';

function clientOf(mode) {
  return new Client({ name: 'axotest', version: '1' }, { versionNegotiation: { mode } });
}

describe('the modern protocol, by its client', () => {
  const box = sandbox();
  const client = clientOf('auto');
  const problems = [];
  const call = (name, args, options) => client.callTool({ name, arguments: args }, options);

  before(async () => {
    client.onerror = (error) => problems.push(error.message);
    await client.connect(new StdioClientTransport(box));
  });
  after(async () => {
    await client.close();
    cleanUp(box);
  });

  it('is found by the probe, which starts no container', () => {
    assert.equal(client.getNegotiatedProtocolVersion(), '2026-07-28');
    assert.equal(client.getServerVersion().name, 'axosandbox');
    assert.ok(!isThere(box.container));
  });

  it('lists the tools with what a cache needs to know', async () => {
    const list = await client.listTools();
    assert.equal(list.tools.length, 21);
    assert.equal(list.cacheScope, 'public');
    assert.ok(list.ttlMs > 0);
  });

  it('runs tools, with progress', async () => {
    const heard = [];
    const result = await call('bash', { command: 'echo hello; sleep 0.4; echo more' },
      { onprogress: (note) => heard.push(note.message) });
    assert.ok(!result.isError);
    assert.match(textOf(result), /hello\nmore/);
    assert.equal(result._meta['io.modelcontextprotocol/serverInfo'].name, 'axosandbox');
    assert.ok(heard.length >= 2, heard.join());
  });

  it('cancels', async () => {
    const abort = new AbortController();
    const running = call('bash', { command: 'touch begun; sleep 1; touch late' },
      { signal: abort.signal });
    running.catch(() => {});
    await fileAppears(join(box.dir, 'begun'));
    abort.abort();
    await assert.rejects(running);
    assert.ok(!textOf(await call('bash', { command: 'sleep 1.2; ls' })).includes('late'));
  });

  it('starts the sandbox again after its container was taken away', async () => {
    podman('rm', '-f', '-t', '0', box.container);
    const lost = await call('bash', { command: 'true' });
    assert.equal(lost.isError, true);
    assert.match(textOf(lost), /next call starts a new one/);
    const again = await call('bash', { command: 'ls begun' });
    assert.ok(!again.isError, textOf(again));
  });

  it('ends with the client', async () => {
    assert.deepEqual(problems.filter(isOurs), []);
    await client.close();
    assert.ok(!isThere(box.container));
  });
});

describe('other ways to open', () => {
  for (const [mode, version] of [
    [{ pin: '2026-07-28' }, '2026-07-28'], ['legacy', '2025-11-25'],
  ]) {
    it(`${JSON.stringify(mode)} speaks ${version}`, async () => {
      const box = sandbox();
      const client = clientOf(mode);
      await client.connect(new StdioClientTransport(box));
      assert.equal(client.getNegotiatedProtocolVersion(), version);
      assert.equal((await client.listTools()).tools.length, 21);
      await client.close();
      assert.ok(!isThere(box.container));
      cleanUp(box);
    });
  }
});
