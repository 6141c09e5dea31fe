import type { Plan } from '../domain/plan/schema.ts';
import { tlsBindOf } from './check-tls-handover.ts';
import { type Section, sectionsOf } from './config-sections.ts';
import type { InnerPlan } from './inner-rules.ts';
import { slotName } from './layout.ts';
import { renderConfig } from './render.ts';

const DEFAULT_FILES = '/var/lib/changeover/haproxy';
const SOCKET = '/run/haproxy/admin.sock';
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
    ...{ bind: ':0', socket: SOCKET, files: files ?? DEFAULT_FILES, inner },
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
  const prefix = slotName(plan.service, 0).slice(0, -1);
  const numbers = sections
    .filter(({ kind, name }) => kind === 'backend' && name.startsWith(prefix))
    .map(({ name }) => name.slice(prefix.length))
    .filter((rest) => /^[1-9]\d{0,2}$/.test(rest))
    .map(Number);
  return Math.max(plan.candidates.length + 1, ...numbers);
}
