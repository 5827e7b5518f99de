// The conformance suite imports names that a Node.js before 22 does not have, for commands that
// are not used here: they are there, and fail when they are called.
import { File } from 'node:buffer';
import { register } from 'node:module';

globalThis.File ??= File;

const SOURCE = `
  export * from 'node:fs';
  export { default } from 'node:fs';
  export function globSync() { throw new Error('this Node.js has no globSync'); }
`;

const HOOKS = `
  const source = ${JSON.stringify(`data:text/javascript,${encodeURIComponent(SOURCE)}`)};
  export function resolve(specifier, context, next) {
    if (specifier === 'fs' && context.parentURL?.includes('/@modelcontextprotocol/conformance/')) {
      return { url: source, shortCircuit: true };
    }
    return next(specifier, context);
  }
`;

register(`data:text/javascript,${encodeURIComponent(HOOKS)}`);
