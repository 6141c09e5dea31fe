import type { WorkflowHandle } from '@temporalio/client';
import { z } from 'zod';

/** A step of the upgrade as the workflow's history has it. Times are epoch milliseconds. */
export interface HistoryStep {
  readonly activity: string;
  /** Servers that it was about; none for steps about the whole service. */
  readonly servers: readonly string[];
  readonly scheduledAt: number;
  readonly completedAt: number;
}

const inputSchema = z.object({
  servers: z
    .array(z.union([z.string(), z.object({ server: z.string() }).transform(({ server }) => server)]))
    .default([]),
});

interface Timestamp {
  readonly seconds?: { toString(): string } | null;
  readonly nanos?: number | null;
}

/** The activities of a run, in the order in which they were scheduled. */
export async function historySteps(handle: WorkflowHandle): Promise<readonly HistoryStep[]> {
  const steps = new Map<string, HistoryStep>();
  for (const event of (await handle.fetchHistory()).events ?? []) {
    const scheduled = event.activityTaskScheduledEventAttributes;
    const at = toMs(event.eventTime);
    if (scheduled) {
      const [payload] = scheduled.input?.payloads ?? [];
      steps.set(String(event.eventId), {
        activity: scheduled.activityType?.name ?? '',
        servers: inputSchema.catch({ servers: [] }).parse(JSON.parse(textOf(payload?.data))).servers,
        scheduledAt: at,
        completedAt: Number.NaN,
      });
    }
    const id = String(event.activityTaskCompletedEventAttributes?.scheduledEventId);
    const step = steps.get(id);
    if (step !== undefined) steps.set(id, { ...step, completedAt: at });
  }
  return [...steps.values()];
}

function textOf(data: Uint8Array | null | undefined): string {
  return data ? Buffer.from(data).toString('utf8') : 'null';
}

function toMs(time: Timestamp | null | undefined): number {
  return Number(time?.seconds?.toString() ?? 0) * 1000 + (time?.nanos ?? 0) / 1e6;
}
