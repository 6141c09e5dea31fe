import type { Plan } from '../domain/plan/schema.ts';
import { checkInnerMarks, checkMarks } from './check-marks.ts';
import { checkSections } from './check-sections.ts';
import { checkTlsHandover } from './check-tls-handover.ts';
import { type ConfigProblem, type Section, sectionsOf } from './config-sections.ts';
import { innerMark, innerMarksIn, type InnerPlan, innerServicesOf } from './inner-rules.ts';
import { checkOwnRules } from './own-rules.ts';
import { renderedFor } from './rendered-for.ts';

/** What a configuration lacks for upgrades of the plan, and what else in it undoes them; all other is its owner's. */
export function checkConfig(
  text: string,
  plan: Plan,
  /** Plans of services behind this one, for which it has to decide as well. */
  innerPlans: readonly InnerPlan[] = [],
): ConfigProblem[] {
  const sections = sectionsOf(text);
  const marksAtHand = innerMarksIn(text);
  const inner = inTheirOrder(innerPlans, marksAtHand);
  const frontend = routingFrontend(sections);
  const rendered = renderedFor(plan, { sections, frontend, inner });
  const marks = [
    ...checkMarks(sections, plan),
    ...checkInnerMarks(sections, innerServicesOf(inner), marksAtHand),
  ];
  const problems = [
    ...marks,
    ...checkSections(sections, rendered, frontend),
    ...checkTlsHandover(sections, frontend),
    // Among rules that were written for another plan nobody knows which are the owner's.
    ...(frontend === undefined || marks.length > 0
      ? []
      : checkOwnRules({ sections, frontend, rendered, service: plan.service })),
  ];
  // What several sections have from one is said once.
  return [
    ...new Map(problems.map((each) => [`${each.line} ${each.missing} ${each.write}`, each])).values(),
  ].sort((a, b) => a.line - b.line);
}

/** The rules for services behind stand in the order in which they were named to `render`, as their marks do. */
function inTheirOrder(inner: readonly InnerPlan[], marks: ReadonlyMap<string, string>): InnerPlan[] {
  const names = [...marks.keys()];
  const at = ({ service }: InnerPlan): number => {
    const index = names.indexOf(innerMark(service));
    return index < 0 ? names.length : index;
  };
  return inner.toSorted((a, b) => at(a) - at(b));
}

function routingFrontend(sections: readonly Section[]): Section | undefined {
  return sections.find(
    ({ kind, lines }) => kind === 'frontend' && lines.some(({ words }) => words.includes('(txn.go)')),
  );
}
