import { styleText } from 'node:util';

type Style = Parameters<typeof styleText>[0];

/** Colours text, or leaves it as it is where the stream shows none (a pipe, `NO_COLOR`). */
export type Paint = (style: Style, text: string) => string;

export function paintFor(stream: NodeJS.WriteStream): Paint {
  const coloured = stream.isTTY && stream.hasColors() && (process.env['NO_COLOR'] ?? '') === '';
  return coloured ? (style, text) => styleText(style, text) : (_style, text) => text;
}

/** Colours of the versions in the order of the plan, the baseline first: of a block, and of a bar. */
const COLOURS = [
  ['bgBlue', 'blue'],
  ['bgGreen', 'green'],
  ['bgMagenta', 'magenta'],
  ['bgCyan', 'cyan'],
  ['bgYellow', 'yellow'],
] as const;
const NO_COLOUR = ['bgWhite', 'white'] as const;

export function versionStyle(versions: readonly string[], version: string): { block: Style; bar: Style } {
  const [block, bar] = COLOURS[versions.indexOf(version)] ?? NO_COLOUR;
  return { block: ['black', block], bar };
}

/** Minutes and seconds since the demo began, such as `0:07.3`. */
export function clock(elapsedMs: number): string {
  const tenths = Math.floor(elapsedMs / 100);
  const seconds = String(Math.floor(tenths / 10) % 60).padStart(2, '0');
  return `${Math.floor(tenths / 600)}:${seconds}.${tenths % 10}`;
}
