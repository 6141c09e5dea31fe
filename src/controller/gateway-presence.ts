/** Which gateways ask for routes by themselves: a sign of life that needs no way from here to them. */
export interface GatewayPresence {
  /** It asks now; the function that is returned is called when it has its answer, or has gone away. */
  enter(service: string, gateway: string): () => void;
  /** It asks at this moment, or asked since `sinceMs` (epoch). */
  wasHeard(service: string, gateway: string, sinceMs: number): boolean;
}

export function createGatewayPresence(): GatewayPresence {
  const heard = new Map<string, { asking: number; lastMs: number }>();
  const keyOf = (service: string, gateway: string): string => `${service}/${gateway}`;

  return {
    enter(service, gateway) {
      const key = keyOf(service, gateway);
      const one = heard.get(key) ?? { asking: 0, lastMs: 0 };
      heard.set(key, one);
      one.asking += 1;
      one.lastMs = Date.now();
      return () => void (one.asking -= 1);
    },
    wasHeard(service, gateway, sinceMs) {
      const one = heard.get(keyOf(service, gateway));
      return one !== undefined && (one.asking > 0 || one.lastMs >= sinceMs);
    },
  };
}
