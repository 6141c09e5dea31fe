import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import Table from 'cli-table3';
import { z } from 'zod';
import { endChild, startChild } from './child.ts';
import { cpuSeconds } from './cpu-time.ts';
import { type AccountsHeld, measureAccounts } from './haproxy-accounts.ts';
import { HAPROXY_GOAL, type HaproxyRatio, measureHaproxyRatio } from './haproxy-ratio.ts';
import { openLoop, saturate } from './open-loop.ts';
import { direct, onPath, startEmbedded, startHaproxy, startKamalProxy, type Target } from './proxies.ts';

/** Accounts within their windows: of a bank, and as many as there is room for. */
const ACCOUNTS = [100_000, 1_000_000];
/** Goals: CPU per request, as multiples of the peers'. */
const GOALS = { 'kamal-proxy': 0.75, haproxy: 3 } as const;
/** All are compared at this rate, or at a share of what the slowest bears at most, where that is less. */
const RATE_PER_SECOND = 3_000;
const LOAD_SHARE = 0.6;
/** Share of its processor above which a proxy was what set the pace. */
const SATURATED = 0.9;

const WHAT_COUNTS = `
bench:gateway [--only embedded|haproxy|accounts] [--rounds N] [--seconds N] [--rate N] [--profile FOLDER] [--json]

embedded: CPU time per request of the embedded gateway, with policy, counters, amounts and transactions on, against
HAProxy doing the like of it and kamal-proxy, all at the same rate, in turn. Goal: at most ${GOALS.haproxy} × HAProxy's and
${GOALS['kamal-proxy']} × kamal-proxy's.

haproxy: requests/s at saturation of an HAProxy with the configuration that is rendered for a plan (tail policy with the
split in effect, counters, amounts, stick tables, baggage; companion at work), over the same HAProxy with plain backends
(same bind, timeouts, servers, balancing). Beside them: plain backends that send a request again as ours does where a
server closes a connection without an answer, for which HAProxy copies each request; and the least that routing by a map,
transactions that stick to their server by a header, and counting cost, by three rules and two tables. One thread each, on
a processor that the load and the servers do not use; in turn; the median of rounds. Goal: at least ${HAPROXY_GOAL}. Where
something else keeps that processor busy, requests/s say little ("busy" below 1): then CPU time per request does, as a
ratio alike.

accounts: what accounts within their windows cost an HAProxy: memory for each, and how long a look for those that are due
holds it up.

Exit code 1 where a goal is missed.
`;

interface Measurement {
  readonly cpuMicros: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly failed: number;
}

const { values: options } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    rounds: { type: 'string', default: '3' },
    seconds: { type: 'string', default: '5' },
    rate: { type: 'string' },
    /** Folder for a CPU profile of the embedded gateway; what it costs shows in the numbers. */
    profile: { type: 'string' },
    /** Only one of them: the embedded gateway against its peers, HAProxy with our rules against plain ones, accounts. */
    only: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});

if (options.help) {
  console.log(WHAT_COUNTS);
  process.exit();
}
const folder = await mkdtemp(join(tmpdir(), 'bench-gateway-'));
let reached = true;
/** What --json prints, once. */
const told: Record<string, unknown> = {};
try {
  const wanted = (part: string): boolean => options.only === undefined || options.only === part;
  if (wanted('embedded')) reached = await compareEmbedded();
  const haproxy = onPath('haproxy');
  if (wanted('accounts') && haproxy !== null) {
    printAccounts(await measureAccounts(join(folder, 'accounts'), { haproxy, counts: ACCOUNTS }));
  }
  if (wanted('haproxy') && haproxy !== null) {
    const ratio = await measureHaproxyRatio(join(folder, 'pair'), {
      haproxy,
      wrk: onPath('wrk'),
      rounds: Number(options.rounds),
      seconds: Number(options.seconds),
    });
    printRatio(ratio);
    reached = reached && ratio.ratio >= HAPROXY_GOAL;
  }
} finally {
  await rm(folder, { recursive: true, force: true });
}
if (options.json) console.log(JSON.stringify(told, null, 2));
process.exitCode = reached ? 0 : 1;

async function compareEmbedded(): Promise<boolean> {
  const servers = await startChild('cheap-server');
  const targets: Target[] = [];
  try {
    const { ports } = z.object({ ports: z.array(z.number()) }).parse(servers.told);
    targets.push(direct(ports[0] ?? 0), await startEmbedded(folder, ports, options.profile ?? null));
    for (const peer of [await startHaproxy(folder, ports), await startKamalProxy(folder, ports)]) {
      if (peer !== null) targets.push(peer);
    }
    return await compare(targets);
  } finally {
    await Promise.all(targets.map((target) => target.close()));
    await endChild(servers.process);
  }
}

async function compare(targets: readonly Target[]): Promise<boolean> {
  const maxima = new Map<string, number>();
  for (const target of targets) {
    maxima.set(target.name, await saturate({ port: target.port, connections: 32, seconds: 3 }));
  }
  const slowest = Math.min(...targets.map((target) => maxima.get(target.name) ?? Infinity));
  const ratePerSecond =
    options.rate === undefined
      ? Math.min(RATE_PER_SECOND, Math.floor((slowest * LOAD_SHARE) / 100) * 100)
      : Number(options.rate);
  const rounds = new Map<string, Measurement[]>(targets.map((target) => [target.name, []]));
  // Alternating, so that whatever else the machine does hits all alike.
  for (let round = 0; round < Number(options.rounds); round += 1) {
    for (const target of targets) rounds.get(target.name)?.push(await measure(target, ratePerSecond));
  }
  return report({ ratePerSecond, maxima, rounds });
}

async function measure(target: Target, ratePerSecond: number): Promise<Measurement> {
  await openLoop({ port: target.port, ratePerSecond, seconds: 1 });
  const before = await cpuSeconds(target.pid);
  const load = await openLoop({ port: target.port, ratePerSecond, seconds: Number(options.seconds) });
  const used = (await cpuSeconds(target.pid)) - before;
  return {
    cpuMicros: (used * 1e6) / load.requests,
    p50Ms: load.p50Ms,
    p99Ms: load.p99Ms,
    failed: load.failed,
  };
}

function report(result: {
  ratePerSecond: number;
  maxima: ReadonlyMap<string, number>;
  rounds: ReadonlyMap<string, readonly Measurement[]>;
}): boolean {
  const rows = [...result.rounds].map(([name, measured]) => ({
    name,
    cpuMicrosPerRequest: median(measured.map((m) => m.cpuMicros)),
    p50Ms: median(measured.map((m) => m.p50Ms)),
    p99Ms: median(measured.map((m) => m.p99Ms)),
    maxPerSecond: result.maxima.get(name) ?? NaN,
    failed: measured.reduce((sum, m) => sum + m.failed, 0),
  }));
  const own = rows.find((row) => row.name === 'embedded')?.cpuMicrosPerRequest ?? NaN;
  const goals = Object.entries(GOALS).flatMap(([peer, atMost]) => {
    const theirs = rows.find((row) => row.name === peer)?.cpuMicrosPerRequest;
    return theirs === undefined
      ? []
      : [{ peer, atMost, ratio: own / theirs, reached: own / theirs <= atMost }];
  });
  const failed = rows.reduce((sum, row) => sum + row.failed, 0);
  if (options.json) {
    Object.assign(told, { ratePerSecond: result.ratePerSecond, rows, goals, failed });
  } else {
    print(result.ratePerSecond, rows, own);
    for (const goal of goals) {
      const verdict = goal.reached ? 'reached' : 'MISSED';
      console.log(
        `CPU per request: ${goal.ratio.toFixed(2)} × ${goal.peer} (goal: at most ${goal.atMost}) ${verdict}`,
      );
    }
    for (const peer of Object.keys(GOALS)) {
      if (!goals.some((goal) => goal.peer === peer)) console.log(`${peer} is not on PATH: not compared`);
    }
  }
  return failed === 0 && goals.every((goal) => goal.reached);
}

function printAccounts(held: readonly AccountsHeld[]): void {
  if (options.json) {
    Object.assign(told, { accounts: held });
    return;
  }
  const table = new Table({
    head: ['accounts in HAProxy', 'octets each', 'a look, ms'],
    style: { head: [], border: [] },
  });
  for (const { accounts, octetsEach, lookMs } of held)
    table.push([accounts.toLocaleString('en'), octetsEach.toFixed(0), lookMs.toFixed(1)]);
  console.log(table.toString());
}

function printRatio(ratio: HaproxyRatio): void {
  if (options.json) {
    Object.assign(told, { haproxy: ratio });
    return;
  }
  const table = new Table({
    head: ['at saturation, one thread', 'requests/s', 'CPU µs/request', 'busy'],
    style: { head: [], border: [] },
  });
  for (const { name, perSecond, cpuMicros, busy } of ratio.rows)
    table.push([name, perSecond.toFixed(0), cpuMicros.toFixed(1), busy.toFixed(2)]);
  const verdict = ratio.ratio >= HAPROXY_GOAL ? 'reached' : 'MISSED';
  console.log(table.toString());
  console.log(
    `requests/s: ${ratio.ratio.toFixed(2)} × plain HAProxy's (goal: at least ${HAPROXY_GOAL}) ${verdict}; by CPU per request ${ratio.cpuRatio.toFixed(2)}, ${ratio.cpuRatioOfRules.toFixed(2)} × plain backends that send requests again as well; the least with a map, a table for transactions and one for counts: ${ratio.leastRatio.toFixed(2)} × plain; load by ${ratio.load}`,
  );
  const busiest = Math.min(...ratio.rows.map(({ busy }) => busy));
  if (busiest < SATURATED)
    console.log(
      'Not saturated: something else set the pace. Go by CPU per request, or repeat on a quiet machine.',
    );
}

function print(
  ratePerSecond: number,
  rows: readonly {
    name: string;
    cpuMicrosPerRequest: number;
    p50Ms: number;
    p99Ms: number;
    maxPerSecond: number;
    failed: number;
  }[],
  own: number,
): void {
  const table = new Table({
    head: ['', 'CPU µs/request', 'embedded ÷ it', 'p50 ms', 'p99 ms', 'max requests/s', 'failed'],
    style: { head: [], border: [] },
  });
  for (const row of rows) {
    const proxy = row.name !== 'direct';
    table.push([
      row.name,
      proxy ? row.cpuMicrosPerRequest.toFixed(0) : '–',
      proxy ? (own / row.cpuMicrosPerRequest).toFixed(2) : '–',
      row.p50Ms.toFixed(2),
      row.p99Ms.toFixed(2),
      row.maxPerSecond.toFixed(0),
      row.failed,
    ]);
  }
  console.log(`${ratePerSecond} requests/s each, median of ${options.rounds}\n${table.toString()}`);
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN;
}
