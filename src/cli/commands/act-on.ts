import { Command } from 'commander';
import type { SignalDefinition } from '@temporalio/common';
import type { Action } from '../../domain/upgrade/actions.ts';
import type { TimelineEntry } from '../../domain/upgrade/state.ts';
import type { UpgradeStatus } from '../../domain/upgrade/status.ts';
import type { CliContext } from '../context.ts';
import { byOption } from '../operator.ts';
import { addUpgradeAddress, upgradeAddress, type UpgradeAddress } from '../upgrade-address.ts';

/** A command by which an operator acts on one server or gateway of an upgrade that runs. */
interface ActOn<Payload extends { readonly by: string }, Options> {
  readonly name: string;
  readonly description: string;
  readonly action: Action;
  /** Loaded when the command runs, like all that speaks with Temporal. */
  readonly signal: () => Promise<SignalDefinition<[Payload]>>;
  /** Name of the option that says on what, and its description. */
  readonly target: readonly [flags: string, description: string];
  readonly more?: (command: Command) => Command;
  readonly help: string;
  readonly payload: (by: string, options: Options) => Payload;
  /** What stands against it now, as a sentence. */
  readonly objection: (options: Options, status: UpgradeStatus) => string | undefined;
  /** What the timeline says first, before it says what came of it. */
  readonly isAnnouncement?: (entry: TimelineEntry) => boolean;
}

export function actOnCommand<Payload extends { readonly by: string }, Options>(
  context: CliContext,
  spec: ActOn<Payload, Options>,
): Command {
  const command = addUpgradeAddress(new Command(spec.name).description(spec.description))
    .requiredOption(...spec.target)
    .addOption(byOption(context.env));
  return (spec.more?.(command) ?? command)
    .addHelpText('after', spec.help)
    .action(async (service: string | undefined, options: Options & UpgradeAddress & { by: string }) => {
      const { sendAction } = await import('../send-action.ts');
      await sendAction(context, {
        action: spec.action,
        address: upgradeAddress(service, options),
        signal: await spec.signal(),
        payload: spec.payload(options.by, options),
        objection: (status: UpgradeStatus) => spec.objection(options, status),
        ...(spec.isAnnouncement === undefined ? {} : { isAnnouncement: spec.isAnnouncement }),
      });
    });
}
