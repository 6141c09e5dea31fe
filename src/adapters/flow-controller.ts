import { z } from 'zod';
import type {
  RouteRegistry,
  ServiceLock,
  ServiceUpkeep,
  TrafficObservatory,
} from '../ports/route-registry.ts';
import { callControl, type ControlCall } from '../protocol/control-client.ts';
import {
  adoptAnswerSchema,
  blocksAnswerSchema,
  checkAnswerSchema,
  loadAnswerSchema,
  lockAnswerSchema,
  publishAnswerSchema,
  routesAnswerSchema,
  serviceStatusSchema,
  trafficAnswerSchema,
} from '../protocol/controller.ts';

/** Above the controller's own two seconds for a gateway that does not answer. */
const TIMEOUT_MS = 10_000;

const noContent = z.undefined();

/** The ports of the flow controller by its HTTP API. Each call is tried once; whoever calls decides about trying again. */
export function createFlowController(options: {
  url: string;
  token?: string;
  timeoutMs?: number;
}): RouteRegistry & ServiceLock & ServiceUpkeep & TrafficObservatory {
  type Call<T> = Pick<ControlCall<T>, 'method' | 'answer' | 'body' | 'query'> & { path?: string };

  const call = <T>(service: string, { path = '', ...rest }: Call<T>): Promise<T> =>
    callControl({
      ...rest,
      baseUrl: options.url,
      token: options.token,
      path: `/v1/services/${encodeURIComponent(service)}${path}`,
      timeoutMs: options.timeoutMs ?? TIMEOUT_MS,
      peer: 'the flow controller',
      unreachable: 'ControllerUnreachable',
    });

  return {
    adopt: (service, definition) =>
      call(service, { method: 'PUT', body: definition, answer: adoptAnswerSchema }),
    stage: (service, request) =>
      call(service, { method: 'POST', path: '/routes/stage', body: request, answer: routesAnswerSchema }),
    activate: (service, request) =>
      call(service, { method: 'POST', path: '/routes/activate', body: request, answer: routesAnswerSchema }),
    publish: (service) =>
      call(service, { method: 'POST', path: '/routes/publish', answer: publishAnswerSchema }),
    status: (service) => call(service, { method: 'GET', answer: serviceStatusSchema }),

    acquire: (service, request) =>
      call(service, { method: 'POST', path: '/lock', body: request, answer: lockAnswerSchema }),
    release: (service, request) =>
      call(service, { method: 'DELETE', path: '/lock', body: request, answer: noContent }),
    excludeGateway: (service, { gateway, ...request }) =>
      call(service, {
        method: 'POST',
        path: `/gateways/${encodeURIComponent(gateway)}/exclude`,
        body: request,
        answer: noContent,
      }),

    removeGateway: (service, { gateway, by }) =>
      call(service, {
        method: 'DELETE',
        path: `/gateways/${encodeURIComponent(gateway)}`,
        query: { by },
        answer: noContent,
      }),

    load: (service, servers) =>
      call(service, { method: 'POST', path: '/load', body: { servers }, answer: loadAnswerSchema }),
    traffic: (service) => call(service, { method: 'GET', path: '/traffic', answer: trafficAnswerSchema }),
    blocks: (service, { trial, after }) =>
      call(service, {
        method: 'GET',
        path: '/blocks',
        query: { trial, after: String(after) },
        answer: blocksAnswerSchema,
      }),
    checkRoutes: (service, transitions) =>
      call(service, {
        method: 'POST',
        path: '/routes/check',
        body: { transitions },
        answer: checkAnswerSchema,
      }),
    armGuardrails: (service, request) =>
      call(service, { method: 'PUT', path: '/guardrails', body: request, answer: noContent }),
    reportReady: (service, request) =>
      call(service, { method: 'POST', path: '/ready', body: request, answer: noContent }),
  };
}
