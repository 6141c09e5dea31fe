import { ChangeoverError } from '../errors.ts';
import type { MeasureRules, TransactionRule } from '../measure.ts';
import { versionsNamedBy } from '../policy/groups.ts';
import type { Ingress, RouteServer, RouteTable, TrafficSplit } from './table.ts';

/**
 * What a step of an upgrade changes in the routes. Transitions are relative to the active table, and each is
 * idempotent: applied to its own result it changes nothing (invariant 9).
 */
export type Transition =
  /** No new business enters these servers; what began there may end there. */
  | { readonly kind: 'close'; readonly servers: readonly string[] }
  /** Nothing at all enters these servers: they are about to be changed, or are left out. */
  | { readonly kind: 'seal'; readonly servers: readonly string[] }
  /** These servers run `release` and take business again. */
  | { readonly kind: 'open'; readonly servers: readonly string[]; readonly release: string }
  /** Traffic is drawn to the candidates by a policy. */
  | { readonly kind: 'split'; readonly split: TrafficSplit }
  /** The stage's share of the present split changes; without a split there is nothing to change. */
  | { readonly kind: 'share'; readonly share: number }
  /** This candidate's keys go to the baseline. */
  | { readonly kind: 'pull'; readonly release: string }
  /** This candidate gets its keys again: what had beaten it is out. Not where a guardrail pulled it. */
  | { readonly kind: 'restore'; readonly release: string }
  /** Everything goes to this release, by no policy. */
  | { readonly kind: 'main'; readonly release: string }
  /** What counts, from now on. */
  | {
      readonly kind: 'measure';
      readonly measure: MeasureRules;
      readonly transactions: TransactionRule | null;
    }
  /** These servers no longer belong to the service. */
  | { readonly kind: 'remove'; readonly servers: readonly string[] };

/**
 * The table after `transitions`, with the version given. Pure; the input is left as it is.
 *
 * @throws ChangeoverError `UnsafeTransition` if a server is unknown, or if the result leaves the main release, or a
 * release that the split draws traffic to, without an open server (invariant 3).
 */
export function applyTransitions(
  table: RouteTable,
  transitions: readonly Transition[],
  version: number,
): RouteTable {
  const next = transitions.reduce(applyOne, table);
  assertServes(next);
  return { ...next, version };
}

function applyOne(table: RouteTable, transition: Transition): RouteTable {
  switch (transition.kind) {
    case 'close':
      // What is closed already stays closed: a late `close` must not let transactions back in.
      return changeServers(table, transition.servers, (server) =>
        server.ingress === 'open' ? withIngress(server, 'draining') : server,
      );
    case 'seal':
      return changeServers(table, transition.servers, (server) => withIngress(server, 'closed'));
    case 'open':
      return changeServers(table, transition.servers, (server) => ({
        ...server,
        ingress: 'open',
        release: transition.release,
      }));
    case 'split':
      return { ...table, split: keepPulled(table.split, transition.split) };
    case 'share':
      return table.split === null ? table : { ...table, split: { ...table.split, share: transition.share } };
    case 'pull': {
      if (table.split === null || table.split.pulled.includes(transition.release)) return table;
      return { ...table, split: { ...table.split, pulled: [...table.split.pulled, transition.release] } };
    }
    case 'restore': {
      const { split } = table;
      if (split === null || !split.pulled.includes(transition.release)) return table;
      const pulled = split.pulled.filter((release) => release !== transition.release);
      return { ...table, split: { ...split, pulled } };
    }
    case 'main':
      return { ...table, mainRelease: transition.release, split: null };
    case 'measure':
      return { ...table, measure: transition.measure, transactions: transition.transactions };
    case 'remove': {
      const gone = new Set(transition.servers);
      return { ...table, servers: table.servers.filter((server) => !gone.has(server.name)) };
    }
  }
}

/** Within one trial (one salt) what was pulled stays pulled, also when the split is sent anew by who does not know it. */
function keepPulled(present: TrafficSplit | null, next: TrafficSplit): TrafficSplit {
  if (present === null || present.salt !== next.salt) return next;
  const missing = present.pulled.filter((release) => !next.pulled.includes(release));
  return missing.length === 0 ? next : { ...next, pulled: [...next.pulled, ...missing] };
}

function withIngress(server: RouteServer, ingress: Ingress): RouteServer {
  return server.ingress === ingress ? server : { ...server, ingress };
}

function changeServers(
  table: RouteTable,
  names: readonly string[],
  change: (server: RouteServer) => RouteServer,
): RouteTable {
  const wanted = new Set(names);
  const known = new Set(table.servers.map((server) => server.name));
  const unknown = names.filter((name) => !known.has(name));
  if (unknown.length > 0) {
    throw new ChangeoverError(
      'UnsafeTransition',
      `The routes of ${table.service} have no server ${unknown.join(', ')}; they have ${[...known].join(', ')}.`,
    );
  }
  return {
    ...table,
    servers: table.servers.map((server) => (wanted.has(server.name) ? change(server) : server)),
  };
}

/** Releases that the split sends keys to: all that its policy names and that were not pulled, and its baseline. */
export function releasesOfSplit(split: TrafficSplit): readonly string[] {
  const all = new Set([...versionsNamedBy(split.policy), split.withoutKey, split.baseline]);
  return [...all].filter((release) => release === split.baseline || !split.pulled.includes(release));
}

function assertServes(table: RouteTable): void {
  const needed =
    table.split === null ? [table.mainRelease] : [table.mainRelease, ...releasesOfSplit(table.split)];
  const served = new Set(table.servers.filter((s) => s.ingress === 'open').map((s) => s.release));
  const homeless = needed.filter((release) => !served.has(release));
  if (homeless.length > 0) {
    throw new ChangeoverError(
      'UnsafeTransition',
      `This change would leave ${table.service} without an open server of ${homeless.join(', ')}; nothing was changed.`,
      { details: { releases: homeless } },
    );
  }
}
