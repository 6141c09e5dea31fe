import type { Logger } from 'pino';
import type { z } from 'zod';
import {
  assessEvidence,
  assessLiveness,
  baselineBreaches,
  type GuardrailBounds,
  type GuardrailFinding,
  type Outcomes,
} from '../domain/decision/guardrail-evidence.ts';
import { firstWeight, stretchesSince } from '../domain/decision/guardrail-starts.ts';
import { boundsOf } from '../domain/guardrails.ts';
import { dealtGroups } from '../domain/policy/groups.ts';
import type { RouteTable } from '../domain/routes/table.ts';
import type { GuardrailNotice } from '../domain/upgrade/results.ts';
import type { guardrailsRequestSchema, Incident } from '../protocol/controller.ts';
import { comparedTotals, nextEvidence } from './candidate-evidence.ts';
import { applyOnce } from './fencing.ts';
import { openGuardrailMemory, type WatchedTrial } from './guardrail-memory.ts';
import type { Observatory } from './observatory.ts';
import {
  assignedSince,
  endedSince,
  NO_TOTALS,
  totalsByRelease,
  type ReleaseTotals,
} from './release-totals.ts';
import { pullRelease } from './route-changes.ts';
import type { ArmedGuardrails, ServiceState } from './service-state.ts';
import type { ServiceStore } from './service-store.ts';

export interface GuardrailWatch {
  /** Arms the guardrails from now on, or disarms them where no release or no rule is given. Safe to repeat. */
  arm(service: string, request: z.infer<typeof guardrailsRequestSchema>): Promise<void>;
  /** Judges by the totals read last, and pulls what broke a guardrail. */
  judge(service: string): Promise<void>;
  /** Whether it is guarded: it has to be read often. */
  isArmed(service: string): boolean;
  /** What `GET /traffic` says of it. */
  report(service: string): { readonly incident?: Incident; readonly notices?: GuardrailNotice[] };
  /** Writes what was learnt, and the totals that it rests on before. */
  persist(): Promise<void>;
}

type Totals = Readonly<Record<string, ReleaseTotals>>;

/** Starts from what is in `stateDir`. @throws ChangeoverError `Internal` naming the file that is damaged. */
export async function openGuardrailWatch(deps: {
  store: ServiceStore;
  observatory: Observatory;
  stateDir: string;
  logger: Logger;
}): Promise<GuardrailWatch> {
  const { store, observatory, logger } = deps;
  const memory = await openGuardrailMemory(deps);

  function totalsOf(service: string): Totals {
    const { active } = store.get(service);
    const volume = active.measure.volume.kind;
    const reading = { volume, underWay: underWayAt(service), groups: groupsIn(active) };
    return totalsByRelease(observatory.totals(service), reading);
  }

  /** HAProxy counts a request when it is answered: what is in flight there comes on top of its counts. */
  function underWayAt(service: string): Record<string, number> {
    const { active, gateways } = store.get(service);
    const releaseOf = new Map(active.servers.map(({ name, release }) => [name, release]));
    const underWay: Record<string, number> = {};
    for (const { address } of gateways) {
      if (address.kind !== 'haproxy') continue;
      for (const { name, inFlight } of observatory.lastServers(service).get(address.name) ?? []) {
        const release = releaseOf.get(name);
        if (release !== undefined) underWay[release] = (underWay[release] ?? 0) + inFlight;
      }
    }
    return underWay;
  }

  async function pull(service: string, guardrails: ArmedGuardrails, release: string, reason: string) {
    const at = new Date().toISOString();
    const pulled = await store.update(service, (state) =>
      // Disarmed or armed anew meanwhile: the numbers are of another trial.
      state.guardrails?.armedAt === guardrails.armedAt
        ? pullRelease(state, { release, reason, at })
        : { state, answer: false },
    );
    if (pulled) logger.warn({ service, release, reason }, 'a guardrail pulled a candidate');
  }

  /** Notes an incident, or its end: evidence begins anew then, for what happened meanwhile is nobody's. */
  async function noteIncident(
    service: string,
    guardrails: ArmedGuardrails,
    change: { incident: Incident } | { before: ArmedGuardrails['before']; incidents: number },
  ): Promise<void> {
    const { incident: _, ...rest } = guardrails;
    if ('before' in change) await observatory.persist();
    await store.update(service, (state) =>
      state.guardrails === guardrails
        ? { state: { ...state, guardrails: { ...rest, ...change } }, answer: undefined }
        : { state, answer: undefined },
    );
    logger.warn(
      { service, ...change },
      'incident' in change ? 'an incident of the environment' : 'the incident is over',
    );
  }

  return {
    async arm(service, request) {
      await observatory.read(service);
      // The counts at arming are kept with the routes: those they are compared with must not be older after a crash.
      await observatory.persist();
      const before = endedBy(totalsOf(service));
      const armedAt = new Date().toISOString();
      await store.update(service, (state) =>
        applyOnce(state, { ...request, kind: 'guardrails' }, (current) => ({
          ...current,
          guardrails: armed(request, before, armedAt),
        })),
      );
    },

    async judge(service) {
      const { guardrails, active } = store.get(service);
      if (guardrails === null || active.split === null) return;
      const totals = totalsOf(service);
      const { baseline } = active.split;
      const groups = groupsIn(active);
      const trial = memory.of(service, guardrails, { totals, baseline, groups });
      const now = totals[baseline]?.ended ?? NO_TOTALS.ended;
      const recent = trial.recent(now).map((start) => endedSince(start, now));
      const { incident } = guardrails;
      const bounds = boundsOf(guardrails.rules);
      const judged = incident === undefined ? bounds : withoutCeilings(bounds);
      const findings = releasesToJudge(store.get(service)).map(
        (release) =>
          [
            release,
            findingOf({ guardrails, trial, totals, baseline, groups, recent }, release, judged),
          ] as const,
      );
      for (const [release, finding] of findings) {
        if (finding.kind === 'breach') await pull(service, guardrails, release, finding.reason);
      }
      const environment = findings.find(([, { kind }]) => kind === 'environment');
      if (environment !== undefined && 'reason' in environment[1]) {
        const reason = `${environment[0]}: ${environment[1].reason}`;
        await noteIncident(service, guardrails, { incident: { reason, since: new Date().toISOString() } });
      } else if (incident !== undefined && trial.isSettled && !baselineBreaches(recent, bounds)) {
        // Also where nothing comes to the baseline any more: an incident must not shelter a candidate for ever.
        const incidents = (guardrails.incidents ?? 0) + 1;
        await noteIncident(service, guardrails, { before: endedBy(totals), incidents });
      }
    },

    isArmed: (service) => store.get(service).guardrails !== null,

    report(service) {
      const state = store.get(service);
      const { guardrails } = state;
      if (guardrails === null) return {};
      const notices = noticesOf(state, memory.known(service), observatory.readAtMs(service));
      return {
        ...(guardrails.incident === undefined ? {} : { incident: guardrails.incident }),
        ...(notices.length === 0 ? {} : { notices }),
      };
    },

    persist: () => memory.persist(),
  };
}

function findingOf(
  seen: {
    guardrails: ArmedGuardrails;
    trial: WatchedTrial;
    totals: Totals;
    baseline: string;
    groups: ReadonlySet<string>;
    recent: readonly Outcomes[];
  },
  release: string,
  bounds: GuardrailBounds,
): GuardrailFinding {
  const { guardrails, trial, totals, baseline, groups, recent } = seen;
  const ofCandidate = totals[release] ?? NO_TOTALS;
  const ofBaseline = totals[baseline] ?? NO_TOTALS;
  // The comparison is kept up whether it is judged or not: in an incident it is all that tells a candidate's own fault.
  const compared = { ...bounds, errorRatio: bounds.errorRatio ?? INCIDENT_RATIO };
  const { relative, loss } = trial.learn(release, (evidence) =>
    nextEvidence(evidence, comparedTotals(totals, { release, baseline, groups }), compared),
  );
  trial.noteGrowth(release, ofCandidate.assigned);
  const before = (name: string): Outcomes => guardrails.before[name] ?? NO_TOTALS.ended;
  return assessEvidence(
    {
      candidate: assignedSince(before(release), ofCandidate),
      baseline: endedSince(before(baseline), ofBaseline.ended),
      relative,
      loss,
      lnWeight: firstWeight(guardrails.incidents ?? 0),
      since: stretchesSince(trial.begun(release, ofCandidate, guardrails.incidents ?? 0), ofCandidate),
    },
    bounds,
    recent,
  );
}

/** Customers that the policy deals at random inside groups are compared inside them: who has more of a bad group is not worse. */
function groupsIn({ split }: RouteTable): ReadonlySet<string> {
  return new Set(split === null ? [] : dealtGroups(split.policy).map(({ name }) => name));
}

/** During an incident a candidate is blamed only for what it does worse than the baseline. */
function withoutCeilings({ errorCeiling: _, slowCeiling: __, ...rest }: GuardrailBounds): GuardrailBounds {
  return { ...rest, errorRatio: rest.errorRatio ?? INCIDENT_RATIO };
}

/** Failures that a candidate may have beside the baseline's in an incident, where the plan names no ratio. */
const INCIDENT_RATIO = 2;

function noticesOf(
  state: ServiceState,
  trial: WatchedTrial | undefined,
  readAtMs: number,
): GuardrailNotice[] {
  const toleratedMs = state.guardrails?.rules.noDataMs;
  if (toleratedMs === undefined || trial === undefined) return [];
  const expectsTraffic = (state.active.split?.share ?? 0) > 0;
  const nowMs = performance.now();
  return releasesToJudge(state).flatMap((release) => {
    const liveness = { readAtMs, grewAtMs: trial.grewAtMs(release), expectsTraffic };
    const found = assessLiveness(liveness, nowMs, toleratedMs);
    return found.kind === 'alive' ? [] : [{ release, ...found }];
  });
}

function endedBy(totals: Totals): Record<string, Outcomes> {
  return Object.fromEntries(Object.entries(totals).map(([release, { ended }]) => [release, ended]));
}

function armed(
  { releases, guardrails: rules }: z.infer<typeof guardrailsRequestSchema>,
  before: Readonly<Record<string, Outcomes>>,
  armedAt: string,
): ServiceState['guardrails'] {
  const disarmed = releases.length === 0 || Object.keys(rules).length === 0;
  return disarmed ? null : { releases, rules, armedAt, before };
}

/** Those whose traffic can go elsewhere: without a split there is nothing to pull from, and the baseline is the refuge. */
function releasesToJudge({ guardrails, active }: ServiceState): readonly string[] {
  const { split } = active;
  if (guardrails === null || split === null) return [];
  return guardrails.releases.filter(
    (release) => release !== split.baseline && !split.pulled.includes(release),
  );
}
