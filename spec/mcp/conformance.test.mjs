// The scenarios of @modelcontextprotocol/conformance that apply to a server over stdio that offers
// tools. README.md in the directory above says which do not, and why.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { openBridge } from './bridge.mjs';
import { cleanUp, sandbox } from './support.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const PROGRAM = join(here, 'node_modules/@modelcontextprotocol/conformance/dist/index.js');

// What fails by design: the check, and why.
const OTHER_TOOL = 'it calls a tool that only a server made for the suite has';
const TRANSPORT = 'it is about HTTP headers, which the bridge does not look at';
const NOT_OFFERED = 'the server offers tools, and no prompts and resources';

const SCENARIOS = {
  '2025-11-25': { 'server-initialize': {}, ping: {}, 'tools-list': {} },
  '2026-07-28': {
    'tools-list': {},
    caching: {
      'sep-2549-prompts-list-caching-hints': NOT_OFFERED,
      'sep-2549-resources-list-caching-hints': NOT_OFFERED,
      'sep-2549-resources-templates-list-caching-hints': NOT_OFFERED,
    },
    'server-stateless': {
      'sep-2575-http-server-header-mismatch-400': TRANSPORT,
      'sep-2575-http-server-no-independent-requests-on-stream': OTHER_TOOL,
      'sep-2575-missing-capability-http-400': OTHER_TOOL,
      'sep-2575-server-no-log-without-loglevel': OTHER_TOOL,
      'sep-2575-server-rejects-undeclared-capability': OTHER_TOOL,
    },
  },
};

function run(argv) {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, argv, { stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    child.stdout.on('data', (bytes) => { output += bytes; });
    child.stderr.on('data', (bytes) => { output += bytes; });
    child.on('exit', () => resolve(output));
  });
}

async function checksOf(url, version, scenario) {
  const results = mkdtempSync(join(tmpdir(), 'axotest-mcp-'));
  try {
    const output = await run(['--import', join(here, 'older-node.mjs'), PROGRAM, 'server', '--url',
      url, '--scenario', scenario, '--spec-version', version, '--output-dir', results]);
    const [made] = readdirSync(results);
    assert.ok(made, output);
    return JSON.parse(readFileSync(join(results, made, 'checks.json'), 'utf8'));
  } finally {
    rmSync(results, { recursive: true, force: true });
  }
}

for (const [version, scenarios] of Object.entries(SCENARIOS)) {
  describe(`the conformance suite, ${version}`, () => {
    const boxes = [];
    const checks = {};
    before(async () => {
      // No scenario needs a container that runs: without podman none is started.
      const bridge = await openBridge(() => {
        const box = { ...sandbox(), stderr: 'ignore' };
        box.env.PATH = box.dir;
        boxes.push(box);
        return box;
      });
      try {
        // In turn: behind the bridge one process serves them all, and each numbers its
        // requests as the others do.
        for (const scenario of Object.keys(scenarios)) {
          checks[scenario] = await checksOf(bridge.url, version, scenario);
        }
      } finally {
        await bridge.close();
      }
    });
    after(() => boxes.forEach(cleanUp));

    for (const [scenario, excused] of Object.entries(scenarios)) {
      it(scenario, () => {
        const failed = checks[scenario].filter((check) => check.status === 'FAILURE');
        const surprising = failed.filter((check) => !(check.id in excused));
        assert.deepEqual(surprising.map((check) => `${check.id}: ${check.errorMessage}`), []);
        assert.deepEqual(failed.map((check) => check.id).sort(), Object.keys(excused));
        const passed = checks[scenario].filter((check) => check.status === 'SUCCESS');
        assert.ok(passed.some((check) => check.id !== 'wire-schema-valid'));
      });
    }
  });
}
