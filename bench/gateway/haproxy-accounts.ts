import { spawn } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { until } from '../../demo/fleet/until.ts';
import { bindToThisProcess, endProcess } from '../../src/dev-server/bound-process.ts';
import { answers, freePorts } from '../../src/dev-server/free-port.ts';
import { TABLES } from '../../src/haproxy/layout.ts';
import { renderConfig, seedFiles } from '../../src/haproxy/render.ts';
import { readTable } from '../../src/haproxy/runtime-answers.ts';
import { RuntimeConnection } from '../../src/haproxy/runtime-api.ts';
import { benchPlan } from './bench-plan.ts';

const READY_MS = 10_000;
const GRACE_MS = 3_000;
const BATCH = 250;
const LOOKS = 11;

export interface AccountsHeld {
  readonly accounts: number;
  /** Resident memory of HAProxy for each. */
  readonly octetsEach: number;
  /** Median of looks for accounts that are due, of which there are none: so long HAProxy answers nobody. */
  readonly lookMs: number;
}

/**
 * What accounts within their windows cost an HAProxy with the configuration that is rendered for the plan of the bench,
 * amounts among what is counted: the entries are made by its Runtime API, and the look is that of the companion.
 */
export async function measureAccounts(
  folder: string,
  { haproxy, counts }: { haproxy: string; counts: readonly number[] },
): Promise<AccountsHeld[]> {
  await mkdir(folder, { recursive: true });
  const [port = 0, server = 0] = await freePorts(2);
  const plan = benchPlan([0, 1, 2].map((index) => `http://127.0.0.1:${server + index}`));
  const socket = join(folder, 'admin.sock');
  const options = { bind: `127.0.0.1:${port}`, socket, files: folder };
  for (const [path, content] of seedFiles(plan, options)) await writeFile(path, content);
  const config = join(folder, 'haproxy.cfg');
  await writeFile(config, renderConfig(plan, options));
  const child = spawn(haproxy, ['-db', '-f', config], { stdio: 'ignore' });
  bindToThisProcess(child);
  try {
    await until('HAProxy listens', () => answers(port), { timeoutMs: READY_MS });
    const connection = await RuntimeConnection.open({ path: socket });
    const emptyOctets = await residentOctets(child.pid);
    const held: AccountsHeld[] = [];
    let made = 0;
    for (const accounts of counts) {
      while (made < accounts) {
        const keys = Array.from({ length: Math.min(BATCH, accounts - made) }, (_, index) => made + index);
        await connection.send(keys.map((key) => `set table ${TABLES.accounts} key ${keyOf(key)}`));
        made += keys.length;
      }
      held.push({
        accounts,
        octetsEach: ((await residentOctets(child.pid)) - emptyOctets) / accounts,
        lookMs: await medianLookMs(connection),
      });
    }
    connection.close();
    return held;
  } finally {
    await endProcess(child, GRACE_MS);
  }
}

/** As long as a 64-bit hash is, and as little in the order in which they came: multiples of 2^64 ÷ the golden ratio. */
function keyOf(number: number): string {
  return String(BigInt.asIntN(64, BigInt(number + 1) * 0x9e37_79b9_7f4a_7c15n));
}

async function medianLookMs(connection: RuntimeConnection): Promise<number> {
  const took: number[] = [];
  for (let look = 0; look < LOOKS; look += 1) {
    const fromMs = performance.now();
    // Before the first second that an account can have; whoever has none yet is no account to be left out.
    const [due = ''] = await connection.send([`show table ${TABLES.accounts} data.gpt lt 0`]);
    took.push(performance.now() - fromMs);
    if (readTable(due).length > 0) throw new Error('Accounts are due that never had a window.');
  }
  return took.sort((a, b) => a - b)[(LOOKS - 1) / 2] ?? Number.NaN;
}

async function residentOctets(pid: number | undefined): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return 1024 * Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? Number.NaN);
}
