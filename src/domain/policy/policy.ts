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
/** Version → weight. */
export type Weights = Readonly<Record<string, number>>;
/**
 * Where the keys of a group go: to one version, or, by weights, at random inside the group, each account by a salted hash
 * of its own. Only the latter lets versions be compared, group by group.
 */
export type GroupTarget = string | Weights;

export interface RangeRule {
  /** Inclusive; absent: no lower bound. */
  readonly from?: number;
  /** Exclusive; absent: no upper bound. */
  readonly below?: number;
  readonly to: GroupTarget;
}
export interface ValuesRule {
  readonly values: readonly string[];
  readonly to: GroupTarget;
}

/** Key → release. `to` and the weights' names are versions: a candidate's, or the baseline's. */
export type TrafficPolicy =
  | { readonly kind: 'tail'; readonly rules: readonly TailRule[]; readonly otherwise?: string }
  | (GroupSalt & {
      readonly kind: 'range';
      readonly rules: readonly RangeRule[];
      readonly otherwise?: GroupTarget;
    })
  | (GroupSalt & {
      readonly kind: 'values';
      readonly rules: readonly ValuesRule[];
      readonly otherwise?: GroupTarget;
    })
  | { readonly kind: 'hash'; readonly salt: string; readonly weights: Weights };

interface GroupSalt {
  /**
   * Of the hash by which groups are dealt. One for all of them: they have no account in common, and one that changes its
   * group keeps its version where the weights are the same.
   */
  readonly salt?: string;
}

export const DEFAULT_SALT = 'changeover';
