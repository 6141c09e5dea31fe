import { closest, distance } from 'fastest-levenshtein';

/** One thing that is wrong with a plan, for the person who wrote it. */
export interface PlanProblem {
  /** Where: `clusters.blue.servers[2].agent`. */
  readonly field: string;
  /** What the field held, shortened; secrets are not shown. */
  readonly held: string;
  /** What it may hold. Begins with `must`. */
  readonly message: string;
  /** What was probably meant. */
  readonly suggestion?: string;
}

export type FieldPath = readonly PropertyKey[];

/** `['clusters', 'blue', 'servers', 2, 'agent']` → `clusters.blue.servers[2].agent`. */
export function fieldName(path: FieldPath): string {
  if (path.length === 0) return 'plan';
  return path.reduce<string>((name, part) => {
    if (typeof part === 'number') return `${name}[${part}]`;
    const key = String(part);
    if (!/^[A-Za-z0-9_$-]+$/.test(key)) return `${name}[${JSON.stringify(key)}]`;
    return name === '' ? key : `${name}.${key}`;
  }, '');
}

interface Finding {
  readonly path: FieldPath;
  readonly value: unknown;
  readonly message: string;
  readonly suggestion?: string | undefined;
}

export function planProblem({ path, value, message, suggestion }: Finding): PlanProblem {
  const field = fieldName(path);
  const held = isSecretName(String(path.at(-1) ?? '')) ? 'a value that is not shown' : renderHeld(value);
  return { field, held, message, ...(suggestion === undefined ? {} : { suggestion }) };
}

const MAX_HELD_LENGTH = 60;

/** A value in short, as a person would recognise it. */
export function renderHeld(value: unknown): string {
  if (value === undefined || value === null) return 'nothing';
  if (Array.isArray(value)) return value.length === 0 ? 'an empty list' : `a list of ${value.length}`;
  if (typeof value === 'object') {
    const keys = Object.keys(value);
    return keys.length === 0 ? 'an empty mapping' : shorten(`a mapping with ${keys.join(', ')}`);
  }
  if (typeof value === 'string') return JSON.stringify(shorten(withoutCredentials(value)));
  return shorten(typeof value === 'number' || typeof value === 'boolean' ? String(value) : typeof value);
}

function shorten(text: string): string {
  return text.length <= MAX_HELD_LENGTH ? text : `${text.slice(0, MAX_HELD_LENGTH - 1)}…`;
}

function withoutCredentials(text: string): string {
  return text.replace(/\/\/[^/\s]*@/, '//***@');
}

function isSecretName(name: string): boolean {
  return /secret|passw|token|credential|private|api-?_?key/i.test(name);
}

/** The word that was probably meant, where one is near enough. */
export function nearest(word: string, words: readonly string[]): string | undefined {
  if (words.length === 0) return undefined;
  const best = closest(word.toLowerCase(), [...words]);
  return distance(word.toLowerCase(), best.toLowerCase()) <= Math.max(2, Math.floor(word.length / 3))
    ? best
    : undefined;
}

/** Words for a sentence: `a`, `a or b`, `a, b or c`. */
export function anyOf(words: readonly string[]): string {
  if (words.length <= 1) return words.join('');
  return `${words.slice(0, -1).join(', ')} or ${words.at(-1) ?? ''}`;
}

/** All problems as text for people, one line each. */
export function formatPlanProblems(problems: readonly PlanProblem[]): string {
  const title =
    problems.length === 1 ? 'The plan has a problem:' : `The plan has ${problems.length} problems:`;
  return [title, ...problems.map((problem) => `  - ${formatPlanProblem(problem)}`)].join('\n');
}

function formatPlanProblem({ field, held, message, suggestion }: PlanProblem): string {
  const hint = suggestion === undefined ? '' : ` Did you mean ${suggestion}?`;
  return `${field} held ${held}; it ${message}.${hint}`;
}
