/**
 * What an amount in a response is, the same at every gateway: a decimal number such as `19.90`, `-5` or `.5`, with at most
 * ten digits before its point (besides zeros in front), which is what HAProxy's counters hold, and without exponent or
 * separators. Four decimals count, further ones are cut. What is written otherwise is no amount: it is counted as unread.
 */

/** Amounts are counted in units of 1/10,000. */
export const AMOUNT_DECIMALS = 4;
/** Regular expression for the whole of it, which JavaScript and PCRE read alike. */
export const AMOUNT_PATTERN = String.raw`[-+]?(0*[0-9]{1,10}(\.[0-9]*)?|\.[0-9]+)`;

const AMOUNT = new RegExp(`^${AMOUNT_PATTERN}$`);
const UNIT = 10 ** AMOUNT_DECIMALS;
/** Below this, a double tells all multiples of a unit apart, also after an addition. */
const TOLD_APART = 1e11;

/** Null for what is no amount. */
export function readAmount(text: string): number | null {
  if (!AMOUNT.test(text)) return null;
  const point = text.indexOf('.');
  return Number(point < 0 ? text : text.slice(0, point + 1 + AMOUNT_DECIMALS));
}

/** A sum of amounts without what adding up doubles leaves behind: 30.3 for 10.1 + 20.2. */
export function exactAmount(sum: number): number {
  return Math.abs(sum) < TOLD_APART ? Math.round(sum * UNIT) / UNIT : sum;
}

/** So many units as an amount, rounded once where a double does not tell them apart. */
export function amountOf(units: bigint): number {
  const unit = BigInt(UNIT);
  return exactAmount(Number(units / unit) + Number(units % unit) / UNIT);
}

/** Adds amounts up without rounding. */
export class AmountSum {
  /** Whole amounts, and apart from them what is beyond in units: both are whole numbers, which doubles add exactly. */
  #whole = 0;
  #units = 0;

  add(amount: number): void {
    const whole = Math.trunc(amount);
    this.#whole += whole;
    this.#units += Math.round((amount - whole) * UNIT);
  }

  get value(): number {
    return amountOf(BigInt(this.#whole) * BigInt(UNIT) + BigInt(this.#units));
  }
}
