/** Servers by cluster, clusters in the order in which they come. */
export function byCluster<Server extends { readonly cluster: string }>(
  servers: readonly Server[],
): ReadonlyMap<string, readonly Server[]> {
  const clusters = new Map<string, Server[]>();
  for (const server of servers) {
    const members = clusters.get(server.cluster) ?? [];
    clusters.set(server.cluster, [...members, server]);
  }
  return clusters;
}
