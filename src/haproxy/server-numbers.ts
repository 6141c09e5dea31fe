import xxhash from 'xxhash-wasm';
import { ChangeoverError } from '../domain/errors.ts';

const hasher = await xxhash();

/** Numbers have to stay below this: keys of counts hold them in the bits that are left (`COUNT_KEY`). */
const BELOW = 2 ** 20;
/**
 * And from here on: positions in the plan, which earlier releases gave, are less. So what a reload hands over from a process
 * that still has those is nobody's, and never another server's.
 */
const FROM = 2 ** 16;

/**
 * HAProxy's numbers of servers. Stick tables hold them over a reload, also one by which the plan's servers come in another
 * order or others beside them: a number is a hash of the name. Names that have the same hash, of which there hardly ever are
 * any, leave that number to nobody and get one from a range of its own: a server that joins or leaves may then change the
 * number of another one, whose transactions are looked for by name alone, but no number is ever another server's.
 *
 * @throws ChangeoverError `InvalidRequest` for names that cannot be told apart.
 */
export function serverNumbers(names: readonly string[]): ReadonlyMap<string, number> {
  const numbers = new Map<string, number>();
  let left = [...new Set(names)];
  for (let range = BELOW / 2; left.length > 0; range /= 2) {
    if (range < FROM) {
      throw new ChangeoverError(
        'InvalidRequest',
        `HAProxy would know the servers ${left.join(', ')} by the same number; give one of them another name.`,
      );
    }
    const byNumber = new Map<number, string[]>();
    for (const name of left) {
      const number = range + (hasher.h32(name, range) % range);
      const those = byNumber.get(number);
      if (those === undefined) byNumber.set(number, [name]);
      else those.push(name);
    }
    left = [];
    for (const [number, [name = '', ...others]] of byNumber) {
      if (others.length === 0) numbers.set(name, number);
      else left.push(name, ...others);
    }
  }
  return numbers;
}
