import { InvalidArgumentError, Option } from 'commander';
import { parseDurationMs } from '../domain/duration.ts';

/** A duration above zero, such as `90s`, in milliseconds. */
export function parseDurationOption(text: string): number {
  const durationMs = Math.round(parseDurationMs(text) ?? 0);
  if (durationMs <= 0) throw new InvalidArgumentError('It must be a duration, such as 90s or 10m.');
  return durationMs;
}

/** An option for a duration; help shows the default as one would type it. */
export function durationOption(flags: string, description: string, byDefault: string): Option {
  return new Option(flags, description)
    .argParser(parseDurationOption)
    .default(parseDurationOption(byDefault), byDefault);
}

/** A whole number above zero. */
export function parseCountOption(text: string): number {
  const count = /^\d{1,9}$/.test(text) ? Number(text) : 0;
  if (count <= 0) throw new InvalidArgumentError('It must be a whole number above zero.');
  return count;
}
