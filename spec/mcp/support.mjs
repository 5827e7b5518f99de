// What the specs share: axolua as an MCP server over a directory of its own, and its end.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const axolua = process.env.AXOLUA;
if (!axolua) throw new Error('AXOLUA must name the program under test');

let count = 0;

/** A server to start: its command line, its directory, its container. */
export function sandbox() {
  count += 1;
  const id = `axotest-mcp-${process.pid}-${count}`;
  const dir = mkdtempSync(join(tmpdir(), 'axotest-mcp-'));
  return {
    dir,
    id,
    container: `axo-ses-${id}`,
    command: axolua,
    args: ['mcp', '--dir', dir, '--id', id, '--network', 'none', '--quiet'],
    env: { ...process.env },
    stderr: 'inherit',
  };
}

export function podman(...args) {
  return spawnSync('podman', args, { encoding: 'utf8' });
}

export function isThere(container) {
  return podman('container', 'exists', container).status === 0;
}

/** Removes what a test that failed may have left. */
export function cleanUp(box) {
  if (isThere(box.container)) podman('rm', '-f', '-v', '-t', '0', box.container);
  rmSync(box.dir, { recursive: true, force: true });
}

/** Waits for a condition; raises when it never comes about. */
export async function eventually(condition, what) {
  const deadline = Date.now() + 30_000;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`this never came about: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

export function fileAppears(path) {
  return eventually(() => existsSync(path), path);
}

/**
 * Whether a client's complaint is the server's fault. The clients deal with a notification only
 * after the answer that follows it, if both come at once.
 */
export function isOurs(complaint) {
  return !complaint.includes('unknown token');
}

/** The text of a tool's result. */
export function textOf(result) {
  return result.content.map((block) => block.text ?? '').join('\n');
}

/** What the one pattern captures in a text. */
export function find(text, pattern) {
  const match = text.match(pattern);
  if (!match) throw new Error(`${pattern} is not in: ${text}`);
  return match[1];
}
