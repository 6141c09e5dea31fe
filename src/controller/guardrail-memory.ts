import { join } from 'node:path';
import writeFileAtomic from 'write-file-atomic';
import type { Outcomes } from '../domain/decision/guardrail-evidence.ts';
import { withStart, type Start } from '../domain/decision/guardrail-starts.ts';
import {
  armedEvidenceSchema,
  beginEvidence,
  comparedTotals,
  type ArmedEvidence,
  type BegunEvidence,
  type CandidateEvidence,
} from './candidate-evidence.ts';
import { readJsonFile } from './json-files.ts';
import type { Observatory } from './observatory.ts';
import type { ReleaseTotals } from './release-totals.ts';
import type { ArmedGuardrails } from './service-state.ts';
import type { ServiceStore } from './service-store.ts';

/** What befalls the baseline is looked for in stretches up to this long, in milliseconds. */
const RECENT_MS = 10_000;

/** Evidence is begun anew no more often, in milliseconds. */
const START_MS = 500;

/** What the controller remembers of one arming, from reading to reading. */
export interface WatchedTrial {
  /** The baseline's totals at the readings of the last seconds; `now` is remembered for the next time. */
  recent(now: Outcomes): readonly Outcomes[];
  /** These readings go back far enough to say that something is over. */
  readonly isSettled: boolean;
  learn(release: string, next: (evidence: CandidateEvidence) => CandidateEvidence): CandidateEvidence;
  /** Totals at earlier readings, since the last incident, from which evidence is begun anew; `now` is for the next time. */
  begun(release: string, now: Pick<Start, 'assigned' | 'ended'>, incidents: number): readonly Start[];
  noteGrowth(release: string, assigned: number): void;
  /** When requests were last seen to come to it, by the monotonic clock. */
  grewAtMs(release: string): number;
}

interface KeptTrial extends WatchedTrial {
  /** What is to be on disk, so that a controller that starts anew goes on from there. */
  begunSoFar(): Required<Pick<ArmedEvidence, 'starts' | 'recent'>>;
}

interface Base {
  readonly totals: Readonly<Record<string, ReleaseTotals>>;
  readonly baseline: string;
  /** Groups that the policy deals at random. */
  readonly groups: ReadonlySet<string>;
}

export interface GuardrailMemory {
  /** Of this arming; what is known of an earlier one is dropped. */
  of(service: string, guardrails: ArmedGuardrails, base: Base): WatchedTrial;
  known(service: string): WatchedTrial | undefined;
  /** Writes evidence that changed, and the totals that it rests on before. */
  persist(): Promise<void>;
}

export async function openGuardrailMemory(deps: {
  store: ServiceStore;
  observatory: Observatory;
  stateDir: string;
}): Promise<GuardrailMemory> {
  const fileOf = (service: string): string => join(deps.stateDir, `${service}.guardrails.json`);
  const kept = new Map<string, ArmedEvidence>();
  const written = new Map<string, string>();
  const trials = new Map<string, { readonly armedAt: string; readonly trial: KeptTrial }>();
  for (const service of deps.store.names()) {
    const known = await readJsonFile<ArmedEvidence>(fileOf(service), armedEvidenceSchema);
    if (known === undefined) continue;
    kept.set(service, known);
  }

  function begin(
    service: string,
    { armedAt }: ArmedGuardrails,
    { totals, baseline, groups }: Base,
  ): KeptTrial {
    const fresh = (release: string): CandidateEvidence =>
      beginEvidence(comparedTotals(totals, { release, baseline, groups }));
    if (kept.get(service)?.armedAt !== armedAt) kept.set(service, { format: 1, armedAt, candidates: {} });
    const beganAtMs = performance.now();
    const before = kept.get(service);
    // Those from before a restart stand for a while, however long it took: what befell everybody meanwhile shows by them.
    let readings = (before?.recent ?? []).map((recent) => ({ atMs: beganAtMs, totals: recent }));
    const growth = new Map<string, { readonly assigned: number; readonly atMs: number }>();
    const starts = new Map<string, BegunEvidence>(Object.entries(before?.starts ?? {}));
    // By the time since the arming: what was bet before a restart of the controller is not bet once more.
    const numberNow = (): number => 2 + Math.floor((Date.now() - Date.parse(armedAt)) / START_MS);
    return {
      begun(release, { assigned, ended }, incidents) {
        const known = starts.get(release);
        const earlier = known?.incidents === incidents ? known.starts : [];
        const next = withStart(earlier, { number: numberNow(), assigned, ended });
        starts.set(release, { incidents, starts: next });
        return earlier;
      },
      recent(now) {
        const atMs = performance.now();
        const earlier = readings.filter((reading) => reading.atMs >= atMs - RECENT_MS);
        readings = [...earlier, { atMs, totals: now }];
        return earlier.map((reading) => reading.totals);
      },
      get isSettled() {
        return performance.now() - beganAtMs >= RECENT_MS;
      },
      learn(release, next) {
        const all = kept.get(service) ?? { format: 1, armedAt, candidates: {} };
        const known = all.candidates[release];
        const learnt = next(known ?? fresh(release));
        if (learnt !== known) {
          kept.set(service, { ...all, candidates: { ...all.candidates, [release]: learnt } });
        }
        return learnt;
      },
      noteGrowth(release, assigned) {
        const known = growth.get(release);
        if (known?.assigned !== assigned) growth.set(release, { assigned, atMs: performance.now() });
      },
      grewAtMs: (release) => growth.get(release)?.atMs ?? beganAtMs,
      begunSoFar: () => ({
        starts: Object.fromEntries(starts),
        recent: readings.map((reading) => reading.totals),
      }),
    };
  }

  return {
    of(service, guardrails, base) {
      const known = trials.get(service);
      if (known?.armedAt === guardrails.armedAt) return known.trial;
      const trial = begin(service, guardrails, base);
      trials.set(service, { armedAt: guardrails.armedAt, trial });
      return trial;
    },
    known: (service) => trials.get(service)?.trial,
    async persist() {
      const snapshot = [...kept].map(([service, evidence]) => {
        const known = trials.get(service);
        const begun = known?.armedAt === evidence.armedAt ? known.trial.begunSoFar() : {};
        return [service, `${JSON.stringify({ ...evidence, ...begun })}\n`] as const;
      });
      // Totals first: evidence must not rest on more than is on disk, or what is read again would be missed.
      await deps.observatory.persist();
      for (const [service, text] of snapshot) {
        if (written.get(service) === text) continue;
        await writeFileAtomic(fileOf(service), text);
        written.set(service, text);
      }
    },
  };
}
