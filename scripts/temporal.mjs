// Finds the `temporal` command, or obtains it, and runs it with the arguments given: `npm run temporal -- workflow list`.
// Without arguments it only says which one it is. Needs a build (scripts/ensure.mjs).
import { spawnSync } from 'node:child_process';
import { findTemporal } from '../dist/src/dev-server/find-temporal.js';

try {
  const temporal = await findTemporal({
    onProgress: (sentence) => console.error(`changeover: ${sentence} …`),
  });
  const args = process.argv.slice(2);
  if (args.length === 0) console.error(`changeover: ${temporal}`);
  const { status } = spawnSync(temporal, args.length === 0 ? ['--version'] : args, { stdio: 'inherit' });
  process.exitCode = status ?? 1;
} catch (error) {
  console.error(`changeover: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}
