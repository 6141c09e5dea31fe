import type { GatewayKind } from '../../demo/fleet/config.ts';
import { startArrivalServer } from './arrivals.ts';
import { startProcesses } from './processes.ts';

export interface ScaleRun {
  readonly folder: string;
  readonly haproxy: string;
  readonly servers: number;
  readonly rounds: number;
}

/** In milliseconds, of each round. */
export interface Scale {
  readonly closeMs: readonly number[];
  readonly loadMs: readonly number[];
  readonly openMs: readonly number[];
}

/** Addresses of this host, one for each server; whoever asks them all finds the same one process. */
function urlsOf(count: number, port: number): string[] {
  return Array.from({ length: count }, (_, index) => `http://127.1.${index >> 8}.${index & 255}:${port}`);
}

/** One gateway and a table of that many servers: half of them are closed, asked what is in flight, and opened again. */
export async function measureScale(kind: GatewayKind, run: ScaleRun): Promise<Scale> {
  const { port } = await startArrivalServer(1);
  await using processes = await startProcesses({
    ...run,
    kind,
    gateways: 1,
    urls: urlsOf(run.servers, port),
  });
  const all = Object.values(processes.clusters).flat();
  const half = all.slice(all.length / 2);
  const [closeMs, loadMs, openMs]: [number[], number[], number[]] = [[], [], []];
  // The first round is not counted: code is compiled.
  for (let round = 0; round <= run.rounds; round += 1) {
    const closed = await processes.change([{ kind: 'close', servers: half }]);
    const load = await processes.readLoad(half);
    const opened = await processes.change([{ kind: 'open', servers: half, release: '1.0' }]);
    if (round === 0) continue;
    closeMs.push(closed.ackedMs - closed.fromMs);
    loadMs.push(load);
    openMs.push(opened.ackedMs - opened.fromMs);
  }
  return { closeMs, loadMs, openMs };
}
