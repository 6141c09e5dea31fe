import type { z } from 'zod';
import { ChangeoverError } from '../domain/errors.ts';
import type { readyReportSchema } from '../protocol/controller.ts';
import { assertHolder } from './fencing.ts';
import type { Change, ReadyRecord, ServiceState } from './service-state.ts';

type ReadyReport = z.infer<typeof readyReportSchema>;

/**
 * Records that servers can take traffic with a release. Each server's reports are ordered by themselves, since
 * clusters get ready side by side: repeated or late, a report changes nothing (invariants 4 and 9).
 *
 * @throws ChangeoverError `InvalidRequest` for a server that the routes do not know; then none is recorded.
 */
export function recordReady(state: ServiceState, report: ReadyReport, at: string): Change<undefined> {
  assertHolder(state, report);
  const known = new Set(state.active.servers.map(({ name }) => name));
  const unknown = report.servers.filter((server) => !known.has(server));
  if (unknown.length > 0) {
    throw new ChangeoverError(
      'InvalidRequest',
      `servers: the routes of ${state.service} have no server ${unknown.join(', ')}; they have ${[...known].join(', ')}.`,
    );
  }
  const news = report.servers.filter((server) => isNews(state.ready[server], report));
  if (news.length === 0) return { state, answer: undefined };
  const { release, fence, step } = report;
  const records = Object.fromEntries(news.map((server) => [server, { release, at, fence, step }]));
  return { state: { ...state, ready: { ...state.ready, ...records } }, answer: undefined };
}

function isNews(known: ReadyRecord | undefined, { fence, step }: ReadyReport): boolean {
  return known === undefined || fence > known.fence || (fence === known.fence && step > known.step);
}
