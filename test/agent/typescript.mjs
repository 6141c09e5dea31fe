// `node --import ./test/agent/typescript.mjs script.ts`: runs the sources as they are, in a process of their own.
import { register } from 'node:module';

register('./typescript-hooks.mjs', import.meta.url);
