import xxhash from 'xxhash-wasm';
import { isAllotted, isTurnedAway, TRANSACTION_UNALLOTTED } from '../domain/policy/allotment.ts';
import type { KeyDecision } from '../domain/policy/route-key.ts';
import { DECISION_BASE, encoded, GO, TRANSACTION } from './layout.ts';

const hasher = await xxhash();

/** Of decisions that no table names any more so many stay readable; counts that are older were read long ago. */
const FORMER_KEPT = 1_024;

/**
 * The numbers that stand for release and bucket in HAProxy, which computes with numbers several times as fast as with
 * text. A number is a hash of what it stands for, and the routes map says which it is: what was counted under it means the
 * same whatever becomes of the companion, and each HAProxy process can be read by its own map.
 */
export class DecisionNumbers {
  /** In the order in which they were used last. */
  readonly #numbers: Map<string, number>;
  readonly #taken: Set<number>;
  readonly #used = new Set<string>();

  /** `before`: those given so far, the oldest first. */
  constructor(before: ReadonlyMap<string, number> = new Map()) {
    this.#numbers = new Map(before);
    this.#taken = new Set(before.values());
  }

  of({ release, bucket }: KeyDecision): number {
    const text = `${encoded(release)}:${encoded(bucket)}`;
    // A transaction under way becomes the other kind by arithmetic: no look-up that might meet the next routes.
    const number =
      bucket === TRANSACTION_UNALLOTTED
        ? this.of({ release, bucket: TRANSACTION }) + GO.otherwise
        : (this.#numbers.get(text) ?? this.#free(text));
    this.#numbers.delete(text);
    this.#numbers.set(text, number);
    this.#taken.add(number);
    this.#used.add(text);
    return number;
  }

  /** What the rules go by: where a request goes, as what it counts, and from which slot of a stage on it is held back. */
  go(decision: KeyDecision, { slot, open }: { slot: number; open?: number | undefined }): string {
    const { bucket } = decision;
    const flags = (isAllotted(bucket) ? 0 : GO.unallotted) + (isTurnedAway(bucket) ? GO.turnedAway : 0);
    const stage = open === undefined ? 0 : (open + 1) * GO.open;
    return String(BigInt(slot) * BigInt(GO.slot) + BigInt(stage + flags + this.of(decision)));
  }

  /** Those of now, and the last of those before. */
  get kept(): ReadonlyMap<string, number> {
    const former = [...this.#numbers].filter(([text]) => !this.#used.has(text)).slice(-FORMER_KEPT);
    return new Map([...former, ...[...this.#numbers].filter(([text]) => this.#used.has(text))]);
  }

  /** For the map: what each number stands for. */
  get entries(): [key: string, value: string][] {
    return [...this.kept].map(([text, number]) => [String(DECISION_BASE + BigInt(number)), text]);
  }

  #free(text: string): number {
    let number = hasher.h32(text) % GO.otherwise;
    while (this.#taken.has(number)) number = (number + 1) % GO.otherwise;
    return number;
  }
}

/** Release and bucket by what the map says of a number; null for what is no decision. */
export function decisionOf(text: string): KeyDecision | null {
  const [release, bucket] = text.split(':');
  if (release === undefined || bucket === undefined) return null;
  return { release: decodeURIComponent(release), bucket: decodeURIComponent(bucket) };
}
