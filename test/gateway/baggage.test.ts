import { propagation, ROOT_CONTEXT } from '@opentelemetry/api';
import { W3CBaggagePropagator } from '@opentelemetry/core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { octetsOf, utf8Octets } from '../../src/domain/policy/route-key.ts';
import {
  joinedBaggage,
  MAX_BYTES,
  MAX_MEMBERS,
  memberValue,
  membersOf,
  ownMember,
  routeMember,
  withoutMember,
  withoutOwn,
} from '../../src/gateway/baggage.ts';

const octets = fc.uint8Array({ maxLength: 40 }).map((bytes) => String.fromCharCode(...bytes));

/** What a service instrumented with OpenTelemetry sends on, having received `baggage`. */
function throughOpenTelemetry(baggage: string): string {
  const propagator = new W3CBaggagePropagator();
  const context = propagator.extract(
    ROOT_CONTEXT,
    { baggage },
    { get: (carrier, key) => carrier[key as 'baggage'], keys: (carrier) => Object.keys(carrier) },
  );
  const carrier: Record<string, string> = {};
  propagator.inject(context, carrier, { set: (to, key, value) => (to[key] = value) });
  expect(propagation.getBaggage(context)).toBeDefined();
  return carrier['baggage'] ?? '';
}

describe('members of baggage', () => {
  it.each([
    ['a=1', 'a', '1'],
    ['a = 1 ; p=q , b=2', 'a', '1'],
    ['a=1,b=%C3%A4%2C;p', 'b', '\xc3\xa4,'],
    ['a=1,a=2', 'a', '1'],
    ['a=', 'a', ''],
    ['a=b=c', 'a', 'b=c'],
    ['a;p=1,b=2', 'a', undefined],
    ['xa=1', 'a', undefined],
    ['a=%zz', 'a', undefined],
    ['a=%ff', 'a', '\xff'],
    [',,;=,', 'a', undefined],
    ['', 'a', undefined],
  ])('are read as the specification says: %j has %s = %j', (baggage, key, value) => {
    expect(memberValue(baggage, key)).toBe(value);
  });

  it('hold any value once they are ours, and read back as it was', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit: 'grapheme' }), octets), (value) => {
        const member = ownMember('changeover.key', value);
        expect(member).toMatch(/^changeover\.key=[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]*$/);
        expect(memberValue(`x=1,${member},y=2;p`, 'changeover.key')).toBe(octetsOf(value));
      }),
    );
  });

  it('of ours survive a hop through OpenTelemetry, and the others with them', () => {
    const sent = joinedBaggage(
      [ownMember('changeover.key', utf8Octets('10 %,ä')), ownMember(routeMember('pricing'), '2.0-a')],
      'user=anna,region=ch;tier=gold',
    );
    const next = throughOpenTelemetry(sent ?? '');
    expect(memberValue(next, 'changeover.key')).toBe(utf8Octets('10 %,ä'));
    expect(memberValue(next, 'changeover.route.pricing')).toBe('2.0-a');
    expect(memberValue(next, 'region')).toBe('ch');
  });
});

describe('what a client forges', () => {
  it.each([
    'changeover.route.pricing=2.0-a',
    ' changeover.route.pricing = 2.0-a ;p=1',
    'changeover.route.pricing',
    'changeover.anything;p',
    '%63hangeover.route.pricing=2.0-a',
    'changeover%2Eroute.pricing=2.0-a',
    '%2563hangeover.route.pricing=2.0-a',
    '%20changeover.route.pricing=2.0-a',
    '+changeover.route.pricing=2.0-a',
    '%00changeover.route.pricing=2.0-a',
    'CHANGEOVER.route.pricing=2.0-a',
    '\u00a0changeover.route.pricing=2.0-a',
    `${'%25'.repeat(1)}${'25'.repeat(30)}63hangeover.key=1`,
  ])('is taken out, encoded or not: %j', (member) => {
    expect(withoutOwn(`a=1;p=q, ${member},b=2`)).toBe('a=1;p=q,b=2');
    expect(withoutOwn(member)).toBe('');
  });

  it('never becomes ours behind a service that decodes keys', () => {
    const pieces = fc.constantFrom(
      'changeover',
      '.',
      'route',
      'pricing',
      '%',
      '25',
      '63',
      '%63',
      '%2e',
      '=',
      ' ',
      '+',
      ',',
      'a',
    );
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 16 }), (parts) => {
        let baggage = withoutOwn(`x=1,${parts.join('')}`);
        for (let hop = 0; hop < 3; hop += 1) baggage = throughOpenTelemetry(baggage);
        expect(membersOf(baggage).filter((one) => one.startsWith('changeover.'))).toEqual([]);
      }),
      { numRuns: 2_000 },
    );
  });

  it('leaves everything else as it came, octet by octet', () => {
    for (const baggage of [
      'a=1;p=q , b=%20 ,,c',
      'my.changeover.key=1',
      'a=%63hangeover.key',
      'a=changeover.key=1',
      '%zz=1',
    ]) {
      expect(withoutOwn(baggage)).toBe(baggage);
    }
  });
});

describe('adding to baggage', () => {
  it('takes one member out, also where it is there twice', () => {
    expect(withoutMember('r=1,a=2;p,r=3', 'r')).toBe('a=2;p');
    expect(withoutMember('a=2; p', 'r')).toBe('a=2; p');
  });

  it('is refused where not all of it would be passed on, so that others lose nothing', () => {
    const own = [ownMember('changeover.key', '1')];
    const room = MAX_BYTES - own.join().length - 1;
    expect(joinedBaggage(own, `a=${'x'.repeat(room - 2)}`)).toHaveLength(MAX_BYTES);
    expect(joinedBaggage(own, `a=${'x'.repeat(room - 1)}`)).toBeNull();
    const members = (count: number): string => Array.from({ length: count }, (_, i) => `a${i}=1`).join(',');
    expect(membersOf(joinedBaggage(own, members(MAX_MEMBERS - 1)) ?? '')).toHaveLength(MAX_MEMBERS);
    expect(joinedBaggage(own, members(MAX_MEMBERS))).toBeNull();
  });
});
