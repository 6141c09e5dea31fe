import ms from 'ms';

const DURATION = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/;

/** Milliseconds of a duration such as `90s`, `10m`, `1.5h`, `250ms`, `7d`; undefined where the text is not one. */
export function parseDurationMs(text: string): number | undefined {
  if (!DURATION.test(text)) return undefined;
  return ms(text as ms.StringValue);
}

/** A duration for a person: `90 s`, `4 min`, `1.5 h`, `7 d`. */
export function formatDuration(durationMs: number): string {
  if (durationMs < 1000) return `${Math.round(durationMs)} ms`;
  if (durationMs < 120_000) return `${trim(durationMs / 1000)} s`;
  if (durationMs < 7_200_000) return `${trim(durationMs / 60_000)} min`;
  if (durationMs < 172_800_000) return `${trim(durationMs / 3_600_000)} h`;
  return `${trim(durationMs / 86_400_000)} d`;
}

function trim(value: number): string {
  return String(Math.round(value * 10) / 10);
}
