import type { Plan } from '../domain/plan/schema.ts';
import { tlsBindOf } from './check-tls-handover.ts';
import { type Section, sectionsOf } from './config-sections.ts';
import type { InnerPlan } from './inner-rules.ts';
import { DEFAULT_FILES, DEFAULT_SOCKET, slotName } from './layout.ts';
import { renderConfig } from './render.ts';

const MEETING = /\babns@changeover-[0-9a-f]+-/;

/**
 * What would be rendered for a plan, with the choices of the configuration at hand: the folder of its maps, how many
 * versions it has room for, where its processes meet, and by which name HAProxy knows itself.
 */
export function renderedFor(
  plan: Plan,
  {
    sections,
    frontend,
    inner,
  }: {
    sections: readonly Section[];
    /** That which decides by the routes. */
    frontend: Section | undefined;
    inner: readonly InnerPlan[];
  },
): Section[] {
  const wordsOf = (lines: Section['lines'] = []): string => lines.map(({ words }) => words).join('\n');
  const files = /map_(?:int|str)\((\S*?)\/routes\.map\)/.exec(wordsOf(frontend?.lines))?.[1];
  const text = renderConfig(plan, {
    ...{ bind: ':0', socket: DEFAULT_SOCKET, files: files ?? DEFAULT_FILES, inner },
    slots: slotsAtHand(plan, sections),
    ...(tlsBindOf(frontend) === undefined ? {} : { tlsCert: '-' }),
  });
  const all = sections.map(({ lines }) => wordsOf(lines)).join('\n');
  const meeting = MEETING.exec(wordsOf(frontend?.lines))?.[0] ?? MEETING.exec(all)?.[0];
  const own = /^localpeer (\S+)$/m.exec(all)?.[1];
  const adopted = meeting === undefined ? text : text.replaceAll(new RegExp(MEETING, 'g'), meeting);
  const named =
    own === undefined ? adopted : adopted.replaceAll(/^( *(?:localpeer|peer)) local\b/gm, `$1 ${own}`);
  return sectionsOf(named);
}

/** At least the versions of the plan; one more, for the version that comes next, is a matter of choice. */
function slotsAtHand(plan: Plan, sections: readonly Section[]): number {
  const names = new Set(sections.filter(({ kind }) => kind === 'backend').map(({ name }) => name));
  let slots = plan.candidates.length + 1;
  while (names.has(slotName(plan.service, slots + 1))) slots += 1;
  return slots;
}
