import type { TrafficCount } from '../../src/domain/measure.ts';
import type { TrafficSplit } from '../../src/domain/routes/table.ts';
import type { Guardrails } from '../../src/protocol/controller.ts';
import {
  countOf,
  definitionWith,
  makeStateDir,
  split,
  startController,
  trial,
} from './running-controller.ts';
import { startStubGateway } from './stub-gateway.ts';

export const service = 'shop';

const opened = trial.filter(({ kind }) => kind === 'open');

/** A trial whose guardrails are armed, on one gateway of the given kind. */
export async function startGuarded(
  guardrails: Guardrails,
  kind: 'embedded' | 'haproxy' = 'embedded',
  dealt: TrafficSplit = split,
) {
  const dir = await makeStateDir();
  const gateway = await startStubGateway();
  const open = () => startController({ stateDir: dir.path });
  let controller = await open();
  const gateways = [{ ...gateway.address, kind }];
  await controller.client.adopt(service, definitionWith(gateways));
  const { fence } = await controller.client.acquire(service, { upgradeId: 'u1', gateways });
  await controller.client.activate(service, {
    fence,
    step: 1,
    transitions: [...opened, { kind: 'split', split: dealt }],
  });
  await controller.client.publish(service);
  await controller.client.armGuardrails(service, {
    ...{ fence, step: 2, guardrails },
    releases: ['2.0-a', '2.0-b'],
  });
  const traffic = () => controller.client.traffic(service);
  let candidate = row('2.0-a', {});
  let baseline = row('1.4', {});
  const add = (ofCandidate: Partial<TrafficCount>, ofBaseline: Partial<TrafficCount>): void => {
    candidate = plus(candidate, ofCandidate);
    baseline = plus(baseline, ofBaseline);
    gateway.counts = [candidate, baseline];
  };
  const judged = async (): Promise<void> => {
    // A second look of the loop has judged what the first one read.
    for (let look = 0; look < 2; look++) await gateway.nextReading();
  };
  return {
    gateway,
    traffic,
    pulled: async () => (await traffic()).pulls.map(({ release, reason }) => `${release}: ${reason}`),
    /** Adds to what the gateway counted of the candidate and of the baseline, and waits until that is judged. */
    async count(ofCandidate: Partial<TrafficCount>, ofBaseline: Partial<TrafficCount>) {
      add(ofCandidate, ofBaseline);
      await judged();
    },
    /** The gateway has counted these rows, and they are judged. */
    async show(rows: TrafficCount[]) {
      gateway.counts = rows;
      await judged();
    },
    /** `meanwhile`: what comes while no controller is there; `edit`: what somebody does to its files. */
    async restart(meanwhile?: Parameters<typeof add>, edit?: (stateDir: string) => Promise<void>) {
      await controller.close();
      await edit?.(dir.path);
      if (meanwhile !== undefined) add(...meanwhile);
      controller = await open();
    },
    async [Symbol.asyncDispose]() {
      await controller.close();
      await gateway.stop();
      await dir[Symbol.asyncDispose]();
    },
  };
}

export function row(release: string, of: Partial<TrafficCount>): TrafficCount {
  const place =
    release === '1.4' ? { bucket: 'held-back' } : { cluster: 'left', server: 'l1', bucket: 'tail:odd' };
  return countOf({ release, ...place, ...of });
}

export function plus(before: TrafficCount, more: Partial<TrafficCount>): TrafficCount {
  const numbers = [
    'requests',
    'allocated',
    'succeeded',
    'failed',
    'serverErrors',
    'slow',
    'volumeCount',
  ] as const;
  const sums = numbers.map((field) => [field, before[field] + (more[field] ?? 0)] as const);
  return { ...before, ...Object.fromEntries(sums) };
}

/** Requests that ended, `bad` of them in failure. */
export function ended(requests: number, bad: number): Partial<TrafficCount> {
  return { requests, succeeded: requests - bad, failed: bad };
}
