import { setTimeout as delay } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import type { ExchangeMatch } from '../domain/measure.ts';
import { allOf } from '../domain/decision/sentence.ts';
import { ChangeoverError } from '../domain/errors.ts';
import type { Plan } from '../domain/plan/schema.ts';
import { sourceOf } from '../domain/plan/source-of.ts';
import type { TrafficAnswer } from '../protocol/controller.ts';
import { askController } from './controller-access.ts';

/** Requests of a service that `measure.allocated` counts, as its gateways counted them over a while. */
export interface RequestRate {
  readonly perSecond: number;
  readonly overMs: number;
  readonly gateways: readonly string[];
}

/**
 * The rate at present, from two readings of the gateways by the flow controller that the environment names; or a
 * sentence that says why it is not known. Nothing in part: a gateway that cannot be read leaves the rate unknown.
 *
 * @throws ChangeoverError `InvalidRequest` where the environment is wrong.
 */
export async function measureRequests(
  env: NodeJS.ProcessEnv,
  plan: Plan,
  overMs: number,
): Promise<RequestRate | string> {
  const { from } = sourceOf(plan.measure);
  if (from !== 'gateways') {
    return `What counts once is read by measure.source (${from}), not at the gateways.`;
  }
  try {
    const { active, gateways } = await askController(env, (controller) => controller.status(plan.service));
    const { allocated } = active.measure;
    if (!isDeepStrictEqual(allocated, plan.measure.allocated)) {
      return `Until an upgrade brings this plan's measure.allocated (${described(plan.measure.allocated)}), the gateways count other requests: ${described(allocated)}.`;
    }
    const read = async (): Promise<{ answer: TrafficAnswer; atMs: number }> => {
      const answer = await askController(env, (controller) => controller.traffic(plan.service));
      return { answer, atMs: performance.now() };
    };
    const first = await read();
    await delay(overMs);
    const last = await read();
    const unread = [...new Set([...first.answer.unread, ...last.answer.unread])];
    if (unread.length > 0) return `The flow controller could not read ${allOf(unread)}.`;
    const counted = gateways.filter(({ excluded }) => excluded === undefined).map(({ name }) => name);
    const requests = allocatedIn(last.answer) - allocatedIn(first.answer);
    const tookMs = last.atMs - first.atMs;
    return { perSecond: (1000 * requests) / tookMs, overMs: tookMs, gateways: counted };
  } catch (error) {
    if (!(error instanceof ChangeoverError) || error.code === 'InvalidRequest') throw error;
    return error.message.replaceAll('\n', ' ');
  }
}

/** Totals outlast restarts of gateways, so that they only grow. */
function allocatedIn({ counts }: TrafficAnswer): number {
  return counts.reduce((sum, { allocated }) => sum + allocated, 0);
}

function described({ method, path }: Pick<ExchangeMatch, 'method' | 'path'>): string {
  if (method === undefined && path === undefined) return 'any request';
  return `${method ?? 'any method'} ${path ?? 'on any path'}`;
}
