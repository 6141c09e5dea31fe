import { isDeepStrictEqual } from 'node:util';
import { defaultPayloadConverter, type Payload } from '@temporalio/common';
import type { History } from '@temporalio/common/lib/proto-utils.js';
import { z } from 'zod';
import { assess } from '../domain/decision/assess.ts';
import { evidenceOf } from '../domain/decision/evidence.ts';
import { judge } from '../domain/decision/judge.ts';
import { readBlocks, stateOfTotals, type RuleProgress } from '../domain/decision/rule-reading.ts';
import { RULES_VERSION, SAME_STATE_SINCE } from '../domain/decision/rule.ts';
import { evidenceIn, substanceOf } from '../domain/decision/substance.ts';
import type { RuleSpec } from '../domain/decision/rule-spec.ts';
import { VOLUME_KINDS } from '../domain/measure.ts';
import type { AnyVerdict, ReadingResult } from '../domain/upgrade/results.ts';

/** A verdict that a history records, and whether the numbers recorded beside it lead to the same one. */
export interface RecordedVerdict {
  readonly event: number;
  readonly at: string;
  readonly recorded: { readonly kind: string; readonly sentence: string };
  readonly derived: Pick<AnyVerdict, 'kind' | 'sentence'>;
  /** By the same rules as this version's, or which are otherwise: earlier ones (or none noted), or later ones. */
  readonly rules: 'same' | 'earlier' | 'later';
  /**
   * By the same rules the recorded numbers lead to the same verdict, word for word; by others, to what was decided. Both
   * on the same evidence, as far as these rules keep the same.
   */
  readonly agrees: boolean;
  /** What is otherwise in this version: how the verdict is told (`words`), or what is kept for later readings (`evidence`). */
  readonly differs: readonly ('words' | 'evidence')[];
  /** The fields of the verdict that are otherwise. */
  readonly fields: readonly string[];
}

/** What an operator said to the upgrade. */
export interface RecordedSignal {
  readonly event: number;
  readonly at: string;
  readonly signal: string;
  readonly payload: unknown;
}

const cappedSchema = z.object({ sum: z.number(), squares: z.number() });
const totals = z.record(
  z.string(),
  z.object({ allocated: z.number(), volume: z.number(), capped: cappedSchema.exactOptional() }),
);

const inputSchema = z.object({
  base: totals.nullable(),
  versions: z.array(z.object({ version: z.string(), role: z.enum(['baseline', 'candidate']) })),
  pulled: z.record(z.string(), z.string()),
  final: z.boolean(),
  out: z.array(z.string()).optional(),
  /** Of runs that began before plans named a rule. */
  rule: z
    .object({
      rule: z.literal('max-efficacy'),
      volume: z.enum(VOLUME_KINDS),
      minSamples: z.number(),
      beatBaseline: z.boolean(),
    })
    .optional(),
  /** What this program wrote itself, and is compared with what it makes of it now. */
  spec: z.custom<RuleSpec>().optional(),
  progress: z.custom<RuleProgress>().optional(),
  elapsedMs: z.number().default(0),
});

const resultSchema = z.object({
  at: z.string(),
  totals,
  /** As some version of this program wrote it. */
  verdict: z.custom<AnyVerdict>().nullable(),
  pulls: z.array(z.object({ release: z.string(), reason: z.string() })),
  elapsedMs: z.number(),
  clockMs: z.number().optional(),
  tableVersion: z.number().optional(),
  decision: z.custom<NonNullable<ReadingResult['decision']>>().optional(),
  rulesVersion: z.number().optional(),
  remarks: z.array(z.string()).optional(),
});

const READING = 'collectMetrics';

/** Re-derives every verdict from the recorded numbers alone (invariant 8). */
export function recordedVerdicts(history: History): RecordedVerdict[] {
  const inputs = new Map<string, unknown>();
  return (history.events ?? []).flatMap((event) => {
    const scheduled = event.activityTaskScheduledEventAttributes;
    if (scheduled?.activityType?.name === READING) {
      inputs.set(String(event.eventId), decoded(scheduled.input?.payloads));
    }
    const completed = event.activityTaskCompletedEventAttributes;
    const input = inputs.get(String(completed?.scheduledEventId));
    if (input === undefined) return [];
    const verdict = rederive(input, decoded(completed?.result?.payloads));
    return verdict === undefined ? [] : [{ event: Number(event.eventId), ...verdict }];
  });
}

function rederive(rawInput: unknown, rawResult: unknown): Omit<RecordedVerdict, 'event'> | undefined {
  const input = inputSchema.parse(rawInput);
  const result = resultSchema.parse(rawResult);
  const { at, verdict, decision } = result;
  if (input.base === null || verdict === null) return undefined;
  const { derived, progress } = derivedFrom(input, result);
  // Of readings by totals, nothing is kept.
  const kept = progress === undefined ? undefined : decision;
  const isEvidence = isSame(evidenceIn(verdict, kept), evidenceIn(derived, progress));
  const rulesVersion = result.rulesVersion ?? decision?.rulesVersion;
  const rules = rulesOf(rulesVersion);
  const fields = differingFields(verdict, derived);
  // Of readings by totals no state is kept.
  const mayDiffer = decision !== undefined && (rules === 'later' || (rulesVersion ?? 0) < SAME_STATE_SINCE);
  const isDecided = isSame(substanceOf(verdict), substanceOf(derived));
  return {
    at,
    recorded: verdict,
    derived,
    rules,
    agrees: (rules === 'same' ? fields.length === 0 : isDecided) && (isEvidence || mayDiffer),
    differs: [
      ...(fields.length === 0 ? [] : ['words' as const]),
      ...(isEvidence ? [] : ['evidence' as const]),
    ],
    fields,
  };
}

function rulesOf(version = 0): RecordedVerdict['rules'] {
  if (version === RULES_VERSION) return 'same';
  return version > RULES_VERSION ? 'later' : 'earlier';
}

function differingFields(recorded: AnyVerdict, derived: AnyVerdict): string[] {
  const [then, now] = [fieldsOf(recorded), fieldsOf(derived)];
  return [...new Set([...then.keys(), ...now.keys()])].filter(
    (name) => !isDeepStrictEqual(then.get(name), now.get(name)),
  );
}

function fieldsOf(verdict: AnyVerdict): ReadonlyMap<string, unknown> {
  return new Map(Object.entries(asJson(verdict) as object));
}

/** As it would come back from the history. */
function isSame(a: unknown, b: unknown): boolean {
  return isDeepStrictEqual(asJson(a), asJson(b));
}

function derivedFrom(
  { base, versions, pulled, rule, spec, progress, final, out, elapsedMs }: z.output<typeof inputSchema>,
  result: z.output<typeof resultSchema>,
): { readonly derived: AnyVerdict; readonly progress?: RuleProgress } {
  const { totals: now, pulls, decision, elapsedMs: readingMs, tableVersion, verdict } = result;
  const { clockMs, remarks } = result;
  const reasons = { ...pulled, ...Object.fromEntries(pulls.map(({ release, reason }) => [release, reason])) };
  const arms = evidenceOf({ versions, base: base ?? {}, totals: now, pulled: reasons });
  if (spec === undefined || progress === undefined) {
    return { derived: assess(rule ?? NO_RULE, arms, final ? 'end' : 'during') };
  }
  // A reading that missed a gateway's counters decides nothing, though it was the last one.
  const isOver = final && verdict?.kind !== 'collecting';
  if (decision === undefined) {
    return { derived: judge(spec, stateOfTotals(spec, arms, elapsedMs + readingMs), isOver, remarks) };
  }
  const next = readBlocks(spec, progress, {
    blocks: decision.blocks,
    pulled: reasons,
    isOver,
    ...(clockMs === undefined ? {} : { clockMs }),
    ...(out === undefined || tableVersion === undefined ? {} : { routes: { out, tableVersion } }),
    ...(remarks && { remarks }),
  });
  return { derived: next.verdict, progress: next.progress };
}

const NO_RULE = { rule: 'max-efficacy', volume: 'successes', minSamples: 1, beatBaseline: false } as const;

function asJson(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value));
}

/** What operators said, in order; what activities tell the workflow is left out. */
export function recordedSignals(history: History): RecordedSignal[] {
  return (history.events ?? []).flatMap((event) => {
    const signaled = event.workflowExecutionSignaledEventAttributes;
    const signal = signaled?.signalName ?? '';
    if (signal === '' || signal === 'problems') return [];
    return [
      {
        event: Number(event.eventId),
        at: timeOf(event.eventTime),
        signal,
        payload: decoded(signaled?.input?.payloads),
      },
    ];
  });
}

function timeOf(time: { seconds?: unknown; nanos?: number | null } | null | undefined): string {
  const seconds = Number(time?.seconds ?? 0);
  return new Date(seconds * 1000 + (time?.nanos ?? 0) / 1e6).toISOString();
}

function decoded(payloads: Payload[] | null | undefined): unknown {
  const [first] = payloads ?? [];
  return first === undefined ? null : defaultPayloadConverter.fromPayload(first);
}
