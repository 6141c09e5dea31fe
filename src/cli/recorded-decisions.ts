import { isDeepStrictEqual } from 'node:util';
import { defaultPayloadConverter, type Payload } from '@temporalio/common';
import type { History } from '@temporalio/common/lib/proto-utils.js';
import { z } from 'zod';
import { assess } from '../domain/decision/assess.ts';
import type { Verdict } from '../domain/decision/decision.ts';
import { evidenceOf } from '../domain/decision/evidence.ts';
import { VOLUME_KINDS } from '../domain/measure.ts';

/** A verdict that a history records, and whether the numbers recorded beside it lead to the same one. */
export interface RecordedVerdict {
  readonly event: number;
  readonly at: string;
  readonly recorded: { readonly kind: string; readonly sentence: string };
  readonly derived: Verdict;
  readonly agrees: boolean;
}

/** What an operator said to the upgrade. */
export interface RecordedSignal {
  readonly event: number;
  readonly at: string;
  readonly signal: string;
  readonly payload: unknown;
}

const totals = z.record(z.string(), z.object({ allocated: z.number(), volume: z.number() }));

const inputSchema = z.object({
  base: totals.nullable(),
  versions: z.array(z.object({ version: z.string(), role: z.enum(['baseline', 'candidate']) })),
  pulled: z.record(z.string(), z.string()),
  rule: z.object({
    rule: z.literal('max-efficacy'),
    volume: z.enum(VOLUME_KINDS),
    minSamples: z.number(),
    beatBaseline: z.boolean(),
  }),
  final: z.boolean(),
});

const verdictSchema = z.looseObject({ kind: z.string(), sentence: z.string() });
const resultSchema = z.object({
  at: z.string(),
  totals,
  verdict: verdictSchema.nullable(),
  pulls: z.array(z.object({ release: z.string(), reason: z.string() })),
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
  const { base, versions, pulled, rule, final } = inputSchema.parse(rawInput);
  const { at, totals: now, verdict, pulls } = resultSchema.parse(rawResult);
  if (base === null || verdict === null) return undefined;
  const reasons = { ...pulled, ...Object.fromEntries(pulls.map(({ release, reason }) => [release, reason])) };
  const arms = evidenceOf({ versions, base, totals: now, pulled: reasons });
  const derived = assess(rule, arms, final ? 'end' : 'during');
  return {
    at,
    recorded: verdict,
    derived,
    agrees: isDeepStrictEqual(verdict, derived),
  };
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
