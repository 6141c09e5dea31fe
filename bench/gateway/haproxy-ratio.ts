import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { cpuSeconds } from './cpu-time.ts';
import { type OneThread, startHaproxyPair } from './haproxy-pair.ts';
import { saturate } from './open-loop.ts';

/** HAProxy with our configuration over the same HAProxy with plain backends. */
export const HAPROXY_GOAL = 0.95;
const CONNECTIONS = 128;

/** The requests of `open-loop.ts`, for wrk: one in ten is a POST; accounts and transactions vary. */
const REQUESTS = `
local requests, sent = {}, 0
for number = 0, 9972 do
  local fields = { ["Host"] = "bench.example", ["User-Agent"] = "bench", ["Accept"] = "*/*",
    ["X-Account"] = tostring(100000 + number), ["X-Transaction"] = "t-" .. (number % 5000) }
  if number % 10 == 0 then
    fields["Content-Type"] = "text/plain"
    requests[number] = wrk.format("POST", "/wealth/buy", fields, "amount=1000")
  else
    requests[number] = wrk.format("GET", "/wealth/home?n=" .. number, fields)
  end
end
request = function() sent = (sent + 1) % 9973 return requests[sent] end
`;

interface Saturated {
  readonly perSecond: number;
  readonly cpuMicros: number;
  /** Share of its processor that the proxy had: at 1, it was what set the pace. */
  readonly busy: number;
}

const NOT_MEASURED: Saturated = { perSecond: Number.NaN, cpuMicros: Number.NaN, busy: Number.NaN };

export interface HaproxyRatio {
  readonly rows: readonly (Saturated & { readonly name: string })[];
  /** Requests/s of ours over plain ones: the median over rounds, in each of which one follows the other. */
  readonly ratio: number;
  /** The same by processor time for a request, which does not depend on what else the machine does. */
  readonly cpuRatio: number;
  /** Ours by processor time over plain backends that send requests again as ours do: maps, tables and rules alone. */
  readonly cpuRatioOfRules: number;
  /** Requests/s over plain backends of the least that routing by map, transactions and counting cost. */
  readonly leastRatio: number;
  readonly load: 'wrk' | 'own';
}

export async function measureHaproxyRatio(
  folder: string,
  options: { haproxy: string; wrk: string | null; rounds: number; seconds: number },
): Promise<HaproxyRatio> {
  await using pair = await startHaproxyPair(folder, options.haproxy);
  const script = join(folder, 'requests.lua');
  await writeFile(script, REQUESTS);
  const saturated = async (target: OneThread, seconds: number): Promise<Saturated> => {
    const before = await cpuSeconds(target.pid);
    const startedMs = performance.now();
    const requests =
      options.wrk === null
        ? seconds * (await saturate({ port: target.port, connections: CONNECTIONS, seconds }))
        : await byWrk(options.wrk, { script, port: target.port, seconds });
    const tookSeconds = (performance.now() - startedMs) / 1000;
    const used = (await cpuSeconds(target.pid)) - before;
    return { perSecond: requests / seconds, cpuMicros: (used * 1e6) / requests, busy: used / tookSeconds };
  };
  const rounds: Saturated[][] = [];
  for (const target of pair.targets) await saturated(target, 1);
  for (let round = 0; round < options.rounds; round += 1) {
    const both: Saturated[] = [];
    // Each begins as often, so that neither has the quieter moments.
    const all = pair.targets.map((_, index) => index);
    const order = round % 2 === 0 ? all : all.toReversed();
    for (const index of order) {
      const target = pair.targets[index];
      if (target !== undefined) both[index] = await saturated(target, options.seconds);
    }
    rounds.push(both);
  }
  const medianOf = (of: (round: readonly Saturated[]) => number): number =>
    rounds.map(of).sort((a, b) => a - b)[Math.floor(rounds.length / 2)] ?? Number.NaN;
  const of = (round: readonly Saturated[], name: OneThread['name']): Saturated =>
    round[pair.targets.findIndex((target) => target.name === name)] ?? NOT_MEASURED;
  return {
    rows: pair.targets.map(({ name }, index) => ({
      name: `HAProxy, ${name}`,
      perSecond: medianOf((round) => round[index]?.perSecond ?? Number.NaN),
      cpuMicros: medianOf((round) => round[index]?.cpuMicros ?? Number.NaN),
      busy: medianOf((round) => round[index]?.busy ?? Number.NaN),
    })),
    ratio: medianOf((round) => of(round, 'changeover').perSecond / of(round, 'plain').perSecond),
    cpuRatio: medianOf((round) => of(round, 'plain').cpuMicros / of(round, 'changeover').cpuMicros),
    cpuRatioOfRules: medianOf(
      (round) => of(round, 'plain, retrying').cpuMicros / of(round, 'changeover').cpuMicros,
    ),
    leastRatio: medianOf((round) => of(round, 'least').perSecond / of(round, 'plain').perSecond),
    load: options.wrk === null ? 'own' : 'wrk',
  };
}

async function byWrk(wrk: string, run: { script: string; port: number; seconds: number }): Promise<number> {
  const { stdout } = await promisify(execFile)('taskset', [
    ...['-c', '1', wrk, '-t1', `-c${CONNECTIONS}`, `-d${run.seconds}s`, '-s', run.script],
    `http://127.0.0.1:${run.port}`,
  ]);
  const failed = Number(/Non-2xx or 3xx responses: (\d+)/.exec(stdout)?.[1] ?? 0);
  if (failed > 0) throw new Error(`${failed} requests were not answered as they should`);
  return Number(/(\d+) requests in/.exec(stdout)?.[1] ?? Number.NaN);
}
