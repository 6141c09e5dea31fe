/**
 * Logarithm of the weighted mean of e-values that are given by their logarithms: a mixture of e-processes is one.
 * The weights are positive and sum to 1; without them all count alike. Safe for e-values far beyond what a number holds.
 */
export function logMeanExp(logs: readonly number[], weights?: readonly number[]): number {
  const greatest = Math.max(...logs);
  if (greatest === -Infinity) return -Infinity;
  let sum = 0;
  for (let i = 0; i < logs.length; i += 1) {
    sum += (weights?.[i] ?? 1 / logs.length) * Math.exp((logs[i] ?? -Infinity) - greatest);
  }
  return greatest + Math.log(sum);
}
