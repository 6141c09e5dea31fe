/** Where the key of a request (account, card, customer …) is found. */
export type KeySource = (
  | { readonly from: 'header'; readonly name: string }
  | { readonly from: 'cookie'; readonly name: string }
  | { readonly from: 'query'; readonly name: string }
  /** A member of W3C baggage, such as `changeover.key`, which an edge writes. */
  | { readonly from: 'baggage'; readonly name: string }
  /** 1 is the first segment of the path. */
  | { readonly from: 'path'; readonly segment: number }
) & {
  /** File (CSV `key,value` or JSON object) on the gateway's host: what was found is replaced by its value there. */
  readonly lookup?: string;
};

export interface TailRule {
  readonly tail: 'odd' | 'even' | readonly number[];
  readonly to: string;
}
export interface RangeRule {
  /** Inclusive; absent: no lower bound. */
  readonly from?: number;
  /** Exclusive; absent: no upper bound. */
  readonly below?: number;
  readonly to: string;
}
export interface ValuesRule {
  readonly values: readonly string[];
  readonly to: string;
}

/** Key → release. `to` and the weights' names are versions: a candidate's, or the baseline's. */
export type TrafficPolicy =
  | { readonly kind: 'tail'; readonly rules: readonly TailRule[]; readonly otherwise?: string }
  | { readonly kind: 'range'; readonly rules: readonly RangeRule[]; readonly otherwise?: string }
  | { readonly kind: 'values'; readonly rules: readonly ValuesRule[]; readonly otherwise?: string }
  | { readonly kind: 'hash'; readonly salt: string; readonly weights: Readonly<Record<string, number>> };
