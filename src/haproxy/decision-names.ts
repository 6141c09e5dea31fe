import type { KeyDecision } from '../domain/policy/route-key.ts';
import { decisionOf } from './decision-numbers.ts';
import { DECISION_BASE } from './layout.ts';
import { readMapValue } from './runtime-answers.ts';
import type { RuntimeConnection } from './runtime-api.ts';

/** Processes whose numbers are remembered: the one that serves, and those before it that still end their business. */
const PROCESSES = 16;

/** What the numbers of decisions mean in each HAProxy process, as its own routes map says. */
export class DecisionNames {
  readonly #routesFile: string;
  readonly #known = new Map<string, Map<number, KeyDecision>>();

  constructor(routesFile: string) {
    this.#routesFile = routesFile;
  }

  /** @param process - `pid@start` of the one that answers. */
  async of(
    connection: RuntimeConnection,
    process: string,
    numbers: ReadonlySet<number>,
  ): Promise<ReadonlyMap<number, KeyDecision>> {
    const known = this.#known.get(process) ?? new Map<number, KeyDecision>();
    this.#known.delete(process);
    this.#known.set(process, known);
    const [oldest] = this.#known.keys();
    if (this.#known.size > PROCESSES && oldest !== undefined) this.#known.delete(oldest);
    const unknown = [...numbers].filter((number) => !known.has(number));
    const answers = await connection.send(
      unknown.map((number) => `get map ${this.#routesFile} ${DECISION_BASE + BigInt(number)}`),
    );
    unknown.forEach((number, index) => {
      const decision = decisionOf(readMapValue(answers[index] ?? '') ?? '');
      if (decision !== null) known.set(number, decision);
    });
    return known;
  }
}
