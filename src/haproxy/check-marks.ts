import type { Plan } from '../domain/plan/schema.ts';
import type { ConfigProblem, Section } from './config-sections.ts';
import { innerMark, innerMarkOf, type InnerService } from './inner-rules.ts';
import { MARKS, marksOf } from './layout.ts';
import { rulePartsOf } from './render.ts';

/** The marks say which rules a configuration was rendered with; they differ where the plan has changed since. */
export function checkMarks(sections: readonly Section[], plan: Plan): ConfigProblem[] {
  const global = sections.find(({ kind }) => kind === 'global');
  if (global === undefined) return [];
  const wanted = marksOf(rulePartsOf(plan));
  return (Object.keys(MARKS) as (keyof typeof MARKS)[]).flatMap((name) => {
    const line = global.lines.find(({ words }) => words.startsWith(`setenv ${MARKS[name]} `));
    const held = line?.words.split(' ')[2];
    if (held !== undefined && safelyDecoded(held) === wanted[name]) return [];
    return [
      {
        line: line?.number ?? global.line,
        missing: whatDiffers(name, held === undefined ? undefined : safelyDecoded(held), wanted[name]),
        write: `render the frontend anew with \`changeover haproxy render\`; it sets ${MARKS[name]}`,
      },
    ];
  });
}

/** The same for services behind. */
export function checkInnerMarks(
  sections: readonly Section[],
  inner: readonly InnerService[],
  marks: ReadonlyMap<string, string>,
): ConfigProblem[] {
  const global = sections.find(({ kind }) => kind === 'global');
  return inner.flatMap((each) => {
    const name = innerMark(each.service);
    const [held, wanted] = [marks.get(name), innerMarkOf(each)];
    if (global === undefined || (held !== undefined && safelyDecoded(held) === wanted)) return [];
    const line = global.lines.find(({ words }) => words.startsWith(`setenv ${name} `));
    return [
      {
        line: line?.number ?? global.line,
        missing:
          held === undefined
            ? `nothing is decided for ${each.service}: nothing says by which rules`
            : `the rules for ${each.service} are for ${safelyDecoded(held)}, its plan has ${wanted}`,
        write: `render the frontend anew with \`changeover haproxy render --context-for\`; it sets ${name}`,
      },
    ];
  });
}

function whatDiffers(name: keyof typeof MARKS, held: string | undefined, wanted: string): string {
  if (name === 'rules') return `another Changeover wrote the rules: version ${held ?? 0}, not ${wanted}`;
  if (held === undefined) return `nothing says for which ${name} the rules are`;
  return `the rules are for ${name} ${held}, the plan has ${wanted}`;
}

function safelyDecoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
