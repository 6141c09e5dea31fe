import type { z } from 'zod';
import { planJsonSchema } from './json-schema.ts';
import { anyOf, nearest, planProblem, type FieldPath, type PlanProblem } from './problem.ts';

type Issue = z.core.$ZodIssue;
type JsonSchema = z.core.JSONSchema._JSONSchema;

/** What zod found, in words for the person who wrote the plan. */
export function shapeProblems(issues: readonly Issue[], input: unknown): PlanProblem[] {
  return issues.flatMap((issue) => problemsOfIssue(issue, input));
}

function problemsOfIssue(issue: Issue, input: unknown): PlanProblem[] {
  const { path } = issue;
  const value = valueAt(input, path);
  switch (issue.code) {
    case 'unrecognized_keys':
      return issue.keys.map((key) => unknownKey([...path, key], valueAt(value, [key])));
    case 'invalid_key': {
      const reason = issue.issues[0]?.message ?? issue.message;
      return [planProblem({ path, value, message: `must have a key that fits: the key ${reason}` })];
    }
    case 'invalid_value':
      return [oneOf({ path, value, options: issue.values.map(String) })];
    case 'invalid_union':
      // Where a discriminator fits no branch, zod names what would; its type does not say so.
      if ('options' in issue && Array.isArray(issue.options)) {
        return [oneOf({ path, value, options: issue.options.map(String) })];
      }
      return [planProblem({ path, value, message: issue.message })];
    case 'invalid_type':
      return [wrongType({ path, value, expected: issue.expected, said: issue.message })];
    case 'too_small':
    case 'too_big':
      return [planProblem({ path, value, message: said(issue.message) ?? boundMessage(issue) })];
    case 'invalid_format':
    case 'not_multiple_of':
    case 'invalid_element':
    case 'custom':
      return [planProblem({ path, value, message: said(issue.message) ?? `must fit: ${issue.message}` })];
  }
}

/** Messages of our schemas begin with `must`; zod's own do not, and are put in our words. */
function said(message: string): string | undefined {
  return message.startsWith('must') ? message : undefined;
}

function unknownKey(path: FieldPath, value: unknown): PlanProblem {
  const known = keysAt(path.slice(0, -1));
  const suggestion = nearest(String(path.at(-1)), known);
  return planProblem({
    path,
    value,
    message: `must not be there: known here are ${known.join(', ')}`,
    suggestion,
  });
}

function oneOf({
  path,
  value,
  options,
}: {
  path: FieldPath;
  value: unknown;
  options: string[];
}): PlanProblem {
  const suggestion = typeof value === 'string' ? nearest(value, options) : undefined;
  const message = options.length === 1 ? `must be ${options[0] ?? ''}` : `must be one of ${anyOf(options)}`;
  return planProblem({ path, value, message, suggestion });
}

interface WrongType {
  readonly path: FieldPath;
  readonly value: unknown;
  readonly expected: string;
  readonly said: string;
}

function wrongType({ path, value, expected, said: message }: WrongType): PlanProblem {
  const suggestion =
    expected === 'string' && (typeof value === 'number' || typeof value === 'boolean')
      ? `"${String(value)}", in quotes`
      : undefined;
  return planProblem({ path, value, message: said(message) ?? typeMessage(path, expected), suggestion });
}

function typeMessage(path: FieldPath, expected: string): string {
  switch (expected) {
    case 'string':
      return 'must be text';
    case 'int':
      return 'must be a whole number';
    case 'array':
      return 'must be a list';
    case 'object':
      return `must be a mapping with ${keysAt(path).join(', ')}`;
    case 'record':
      return 'must be a mapping of names to values';
    default:
      return `must be a ${expected}`;
  }
}

type BoundIssue = Extract<Issue, { code: 'too_small' | 'too_big' }>;

function boundMessage(issue: BoundIssue): string {
  const isLower = issue.code === 'too_small';
  const bound = Number(isLower ? issue.minimum : issue.maximum);
  if (issue.origin === 'number' || issue.origin === 'int') {
    if (isLower) return issue.inclusive === false ? `must be more than ${bound}` : `must be ${bound} or more`;
    return issue.inclusive === false ? `must be less than ${bound}` : `must be ${bound} or less`;
  }
  const unit = issue.origin === 'string' ? 'character' : issue.origin === 'array' ? 'entry' : 'key';
  return `must have at ${isLower ? 'least' : 'most'} ${bound} ${bound === 1 ? unit : plural(unit)}`;
}

function plural(unit: string): string {
  return unit === 'entry' ? 'entries' : `${unit}s`;
}

function valueAt(input: unknown, path: FieldPath): unknown {
  return path.reduce<unknown>((value, part) => {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, part)) return undefined;
    return (value as Record<PropertyKey, unknown>)[part];
  }, input);
}

/** Keys that the schema knows at a place in the plan. */
function keysAt(path: FieldPath): string[] {
  const nodes = path.reduce<JsonSchema[]>(
    (present, part) => present.flatMap((node) => childrenAt(node, part)),
    branches(planJsonSchema()),
  );
  return [...new Set(nodes.flatMap((node) => Object.keys(asSchema(node)?.properties ?? {})))];
}

function childrenAt(node: JsonSchema, part: PropertyKey): JsonSchema[] {
  const schema = asSchema(node);
  if (schema === undefined) return [];
  if (typeof part === 'number') return Array.isArray(schema.items) ? [] : branches(schema.items);
  return branches(schema.properties?.[String(part)] ?? schema.additionalProperties);
}

/** The schema itself, or the alternatives that it consists of. */
function branches(node: JsonSchema | undefined): JsonSchema[] {
  const schema = asSchema(node);
  if (schema === undefined) return [];
  return schema.oneOf ?? schema.anyOf ?? [schema];
}

function asSchema(node: JsonSchema | undefined): z.core.JSONSchema.JSONSchema | undefined {
  return typeof node === 'object' ? node : undefined;
}
