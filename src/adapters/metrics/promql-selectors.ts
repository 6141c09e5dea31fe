import { parser } from '@prometheus-io/lezer-promql';

/** The vector selectors of a PromQL expression, such as `requests_total{job="shop"}`, each once. */
export function selectorsOf(query: string): string[] {
  const found = new Set<string>();
  parser.parse(query).iterate({
    enter: (node) => {
      if (node.name === 'VectorSelector') found.add(query.slice(node.from, node.to));
    },
  });
  return [...found];
}
