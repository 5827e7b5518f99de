// The official SDK's client, of the earlier revisions, drives every tool in a real sandbox.
import assert from 'node:assert/strict';
import { readFileSync, readdirSync, writeFileSync, existsSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { cleanUp, eventually, fileAppears, find, isOurs, isThere, sandbox, textOf } from './support.mjs';

const NAMES = [
  'read_file', 'write_file', 'edit_file', 'list_dir', 'grep', 'glob', 'bash', 'bash_background',
  'list_background', 'read_background', 'write_background', 'stop_background', 'wait_for_port',
  'expose_port', 'spawn_terminal', 'list_terminals', 'read_terminal', 'write_terminal',
  'resize_terminal', 'kill_terminal', 'session_info',
];

const PNG = Buffer.from('iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAA'
  + 'AABJRU5ErkJggg==', 'base64');

const box = sandbox();
const client = new Client({ name: 'axotest', version: '1' });
const problems = [];

async function call(name, args = {}, options = undefined) {
  return client.callTool({ name, arguments: args }, undefined, options);
}

async function works(name, args) {
  const result = await call(name, args);
  assert.ok(!result.isError, textOf(result));
  return textOf(result);
}

async function fails(name, args) {
  const result = await call(name, args);
  assert.equal(result.isError, true, textOf(result));
  return textOf(result);
}

describe('the tools, by the SDK\'s client', () => {
  before(async () => {
    client.onerror = (error) => problems.push(error.message);
    await client.connect(new StdioClientTransport(box));
  });
  after(async () => {
    await client.close();
    cleanUp(box);
  });

  it('introduces itself', () => {
    assert.equal(client.getServerVersion().name, 'axosandbox');
    assert.deepEqual(client.getServerCapabilities(), { tools: {} });
    assert.match(client.getInstructions(), /sandbox/);
  });

  it('lists every tool, described, in a fixed order', async () => {
    const { tools } = await client.listTools();
    assert.deepEqual(tools.map((tool) => tool.name), NAMES);
    for (const tool of tools) {
      assert.ok(tool.description.length > 40, tool.name);
      assert.equal(tool.inputSchema.additionalProperties, false);
      for (const [name, rule] of Object.entries(tool.inputSchema.properties)) {
        assert.ok(rule.type && rule.description, `${tool.name}: ${name}`);
      }
      for (const name of tool.inputSchema.required ?? []) {
        assert.ok(tool.inputSchema.properties[name], `${tool.name}: ${name}`);
      }
    }
    assert.deepEqual(await client.listTools(), { tools });
  });

  it('write_file and read_file: text as it is', async () => {
    assert.match(await works('write_file', { path: 'a/b.txt', content: 'grün\n' }), /6 bytes/);
    assert.equal(readFileSync(join(box.dir, 'a/b.txt'), 'utf8'), 'grün\n');
    assert.equal(await works('read_file', { path: 'a/b.txt' }), 'grün\n');
    assert.equal(await works('read_file', { path: join(box.dir, 'a/b.txt') }), 'grün\n');
    assert.match(await works('read_file', { path: 'a/b.txt', offset: 9 }), /has 6 bytes/);
  });

  it('read_file: a long file in parts that make the whole, characters unbroken', async () => {
    const whole = 'añ€😀'.repeat(30_000);
    writeFileSync(join(box.dir, 'long'), whole);
    let text = '';
    let offset = 0;
    for (;;) {
      const { content } = await call('read_file', { path: 'long', offset });
      text += content[0].text;
      const next = content[1].text.match(/(\d+) bytes left out: go on with offset=(\d+)/);
      if (!next) break;
      offset = Number(next[2]);
      assert.equal(Number(next[1]), Buffer.byteLength(whole) - offset);
    }
    assert.equal(text, whole);
  });

  it('binary files come and go as base64, pictures as pictures', async () => {
    const bytes = Buffer.from([0, 255, 254, 10, 0, 128]);
    await works('write_file', {
      path: 'bin', content: bytes.toString('base64'), encoding: 'base64',
    });
    assert.deepEqual(readFileSync(join(box.dir, 'bin')), bytes);
    const { content } = await call('read_file', { path: 'bin' });
    assert.equal(content[0].text, bytes.toString('base64'));
    assert.match(content[1].text, /base64/);
    writeFileSync(join(box.dir, 'dot.png'), PNG);
    const image = (await call('read_file', { path: 'dot.png' })).content[0];
    assert.deepEqual(image, {
      type: 'image', data: PNG.toString('base64'), mimeType: 'image/png',
    });
    assert.match(await fails('write_file', { path: 'x', content: '%%%%', encoding: 'base64' }),
      /not base64/);
  });

  it('paths that lead out are refused, and the failure says what to do', async () => {
    symlinkSync('/etc', join(box.dir, 'way-out'));
    for (const path of ['/etc/passwd', '../../etc/passwd', 'way-out/passwd']) {
      assert.match(await fails('read_file', { path }), /directory/);
    }
    assert.match(await fails('write_file', { path: 'way-out/x', content: '' }), /directory/);
    assert.match(await fails('read_file', { path: 'missing' }), /list_dir/);
    assert.match(await fails('read_file', { path: 'a' }), /list_dir/);
  });

  it('edit_file: exactly once, or everywhere', async () => {
    await works('write_file', { path: 'edit', content: 'one two two' });
    await works('edit_file', { path: 'edit', old_string: 'one', new_string: '1' });
    assert.match(await fails('edit_file', { path: 'edit', old_string: 'two', new_string: '2' }),
      /replace_all/);
    assert.match(await fails('edit_file', { path: 'edit', old_string: 'six', new_string: '6' }),
      /Read the file again/);
    await works('edit_file', {
      path: 'edit', old_string: 'two', new_string: '2', replace_all: true,
    });
    assert.equal(readFileSync(join(box.dir, 'edit'), 'utf8'), '1 2 2');
  });

  it('list_dir, grep and glob find things', async () => {
    await works('write_file', { path: 'src/x.c', content: 'int main;\nint other;\n' });
    assert.match(await works('list_dir', { path: 'src' }), /^file +21 {2}x\.c$/m);
    assert.match(await works('list_dir'), /^directory +- {2}src\/$/m);
    assert.match(await works('grep', { pattern: 'm[a]in', glob: '*.c' }), /^src\/x\.c:1:int main;$/m);
    assert.match(await works('grep', { pattern: 'int', max: 1, path: 'src' }), /there are more/);
    assert.match(await works('grep', { pattern: 'zebra' }), /no matches/);
    assert.match(await fails('grep', { pattern: '((' }), /regular expression/);
    assert.equal(await works('glob', { pattern: 'src/**/*.c' }), 'src/x.c\n');
  });

  it('bash: output, exit codes, signals, where it runs', async () => {
    assert.match(await works('bash', { command: 'echo out; echo problem >&2' }),
      /out\n\[stderr\]\nproblem\n\n\[exit code 0/);
    assert.match(await works('bash', { command: 'pwd' }), new RegExp(`^${box.dir}\n`));
    assert.match(await works('bash', { command: 'pwd', cwd: 'src' }), /src\n/);
    assert.match(await fails('bash', { command: 'exit 3' }), /exit code 3/);
    assert.match(await fails('bash', { command: 'kill -9 $$' }), /signal KILL/);
    assert.match(await fails('bash', { command: 'true', cwd: 'nowhere' }), /cwd/);
    assert.match(await works('bash', { command: 'printf "a\\377b"' }), /a\uFFFDb[^]*not UTF-8|UTF-8/);
  });

  it('bash: what it started is killed with it when its time is over', async () => {
    const command = '(sleep 1; touch survived) & touch began; sleep 60';
    assert.match(await fails('bash', { command, timeout: 0.3 }), /bash_background/);
    assert.ok(existsSync(join(box.dir, 'began')));
    const { content } = await call('bash', { command: 'sleep 1.2; ls survived' });
    assert.match(content[0].text, /No such file/);
  });

  it('bash: the middle of much output is left out, and how much is said', async () => {
    const shown = await works('bash', { command: 'echo first; head -c 3000000 /dev/zero | tr "\\0" x; '
      + 'echo; echo last' });
    assert.ok(Buffer.byteLength(shown) < 70_000);
    assert.match(shown, /^first\n/);
    assert.match(shown, /x\nlast\n/);
    const left = Number(find(shown, /(\d+) bytes left out/));
    const kept = shown.slice(0, shown.indexOf('last\n') + 5).replace(/\n\[\.\.\. .*\]\n/, '');
    assert.equal(left + Buffer.byteLength(kept), 3_000_000 + 12);
  });

  it('background tasks: started, listed, read on from a cursor, stopped', async () => {
    const started = await works('bash_background', {
      command: 'echo one; until [ -e go ]; do sleep 0.05; done; echo two; exec sleep 60 &',
    });
    assert.match(started, /& at the end was dropped/);
    const id = find(started, /task (\S+)\./);
    const first = await works('read_background', { id, wait: 20 });
    assert.match(first, /^one\n/);
    assert.match(await works('list_background'), new RegExp(`^${id} {2}running`, 'm'));
    const cursor = Number(find(first, /cursor (\d+)/));
    const more = works('read_background', { id, cursor, wait: 20 });
    writeFileSync(join(box.dir, 'go'), '');
    assert.match(await more, /^two\n/);
    assert.match(await works('stop_background', { id }), /was ended.*killed \(TERM\)/);
    assert.match(await works('read_background', { id, wait: 20 }), /killed \(TERM\)/);
    assert.match(await works('stop_background', { id }), /had ended already/);
    assert.match(await fails('read_background', { id: 'nobody' }), /nobody/);
  });

  it('wait_for_port: succeeds when something listens', async () => {
    const started = await works('bash_background', { command: 'sleep 0.3; exec nc -l -p 8080' });
    const task = find(started, /task (\S+)\./);
    assert.match(await works('wait_for_port', { port: 8080, task }), /listens on port 8080/);
    await works('stop_background', { id: task });
    assert.match(await fails('wait_for_port', { port: 8081, timeout: 0.3 }), /after 0\.3 s/);
  });

  it('wait_for_port: fails at once when the task has ended, and shows why', async () => {
    const started = await works('bash_background', {
      command: 'until [ -e fall ]; do sleep 0.05; done; echo no config; exit 7',
    });
    const task = find(started, /task (\S+)\./);
    const waiting = fails('wait_for_port', { port: 8082, task, timeout: 600 });
    writeFileSync(join(box.dir, 'fall'), '');
    const text = await waiting;
    assert.match(text, /no config/);
    assert.match(text, /exited \(7\)/);
    assert.match(await fails('wait_for_port', { port: 8082, task, timeout: 600 }), /exited \(7\)/);
  });

  it('terminals: typed at, read, resized, listed, ended', async () => {
    const id = find(await works('spawn_terminal', { rows: 30, cols: 90 }), /terminal (\S+)\./);
    let cursor = 0;
    const answer = async (text, pattern, enter = true) => {
      const typed = await works('write_terminal', { id, text, enter });
      cursor = Number(find(typed, /cursor (\d+)/));
      let shown = '';
      await eventually(async () => {
        shown = await works('read_terminal', { id, cursor, wait: 5 });
        return pattern.test(shown);
      }, `${pattern} on the terminal`);
      return shown;
    };
    await answer('echo $((6 * 7)); tty', /^42$/m);
    await answer('stty size', /^30 90$/m);
    await works('resize_terminal', { id, rows: 40, cols: 100 });
    await answer('stty size', /^40 100$/m);
    const coloured = await answer('printf "\\033[31mred\\033[0m\\n"', /^red$/m);
    assert.ok(!coloured.includes('\u001b'));
    const last = await works('read_terminal', { id, tail_lines: 2 });
    assert.match(last, /^red\n/);
    await answer('echo ready; cat', /^ready$/m);
    await answer('meow', /^meow\nmeow$/m);
    // What is typed before the shell is back may be dropped with what was typed at cat.
    await answer('\u0003', /[#$] *$/m, false);
    await answer('echo back', /^back$/m);
    assert.match(await works('list_terminals'), new RegExp(`^${id} {2}running`, 'm'));
    assert.match(await works('kill_terminal', { id }), /was ended/);
    assert.match(await works('list_terminals'), new RegExp(`^${id} {2}killed`, 'm'));
    assert.match(await fails('write_terminal', { id, text: 'x' }), /ended/);
    assert.match(await works('read_terminal', { id }), /42/);
  });

  it('session_info tells where one is', async () => {
    const info = await works('session_info');
    assert.match(info, new RegExp(`^directory: ${box.dir}$`, 'm'));
    assert.match(info, new RegExp(`^container: ${box.container}$`, 'm'));
    assert.match(info, /^network: none$/m);
    assert.match(info, /^limits: memory /m);
  });

  it('wrong arguments are a failure of the tool, with the way out; an unknown tool is an error',
    async () => {
      assert.match(await fails('bash', {}), /"command" is required/);
      assert.match(await fails('bash', { command: 'true', shell: 'zsh' }), /it takes: command/);
      assert.match(await fails('bash', { command: 7 }), /must be a string, got a number/);
      assert.match(await fails('read_file', { path: 'x', limit: 1.5 }), /whole number/);
      assert.match(await fails('wait_for_port', { port: 70_000 }), /at most 65535/);
      await assert.rejects(call('format_disk'), { code: -32602 });
    });

  it('calls run side by side', async () => {
    const order = [];
    const slow = works('bash', { command: 'until [ -e second ]; do sleep 0.05; done' })
      .then(() => order.push('slow'));
    await works('bash', { command: 'touch second' });
    order.push('quick');
    await slow;
    assert.equal(order.length, 2);
    const many = Array.from({ length: 40 }, (_, i) => works('bash', { command: `echo ${i}` }));
    const texts = await Promise.all(many);
    texts.forEach((text, i) => assert.match(text, new RegExp(`^${i}\n`)));
  });

  it('a call that is cancelled is killed, with all that it started', async () => {
    const abort = new AbortController();
    const command = '(sleep 1; touch late) & touch cancel-me; sleep 60; touch late';
    const running = call('bash', { command }, { signal: abort.signal });
    running.catch(() => {});
    await fileAppears(join(box.dir, 'cancel-me'));
    abort.abort('enough');
    await assert.rejects(running);
    const left = await works('bash', { command: 'sleep 1.2; ls; ps' });
    assert.ok(!left.includes('late'), left);
    assert.ok(!left.includes('sleep 60'), left);
  });

  it('who asks for progress hears of it', async () => {
    const heard = [];
    const result = await call('bash', { command: 'for i in 1 2 3; do echo step $i; sleep 0.4; done' },
      { onprogress: (note) => heard.push(note) });
    assert.ok(!result.isError);
    assert.ok(heard.length >= 3, JSON.stringify(heard));
    assert.match(heard.map((note) => note.message).join(), /step [23]/);
    for (let i = 1; i < heard.length; i += 1) assert.ok(heard[i].progress > heard[i - 1].progress);
  });

  it('never said what the client did not understand, and ends with it', async () => {
    assert.deepEqual(problems.filter(isOurs), []);
    assert.ok(isThere(box.container));
    await client.close();
    assert.ok(!isThere(box.container));
    assert.ok(readdirSync(box.dir).includes('src'));
  });
});
