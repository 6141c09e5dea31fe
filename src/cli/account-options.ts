import { type Command, InvalidArgumentError, Option } from 'commander';
import { parseCountOption } from './limit-option.ts';

/** Options of who counts the accounts of a trial. */
export interface AccountOptions {
  readonly maxAccounts: number;
  readonly accountPart?: { readonly part: number; readonly of: number };
}

/** As the configuration of a gateway has them. */
export function accountSettings({ maxAccounts, accountPart }: AccountOptions) {
  return { maxAccounts, ...(accountPart === undefined ? {} : { accountPart }) };
}

export function addAccountOptions(command: Command): Command {
  return command.addOption(maxAccountsOption()).addOption(accountPartOption());
}

function maxAccountsOption(): Option {
  return new Option(
    '--max-accounts <n>',
    'accounts that a trial by account counts here at most; beyond it new ones are left out',
  )
    .argParser(parseCountOption)
    .default(1_000_000);
}

function accountPartOption(): Option {
  return new Option(
    '--account-part <part/of>',
    'where requests of an account come by several gateways: the part of the accounts counted here, such as 1/2',
  ).argParser(parseAccountPart);
}

function parseAccountPart(text: string): { part: number; of: number } {
  const match = /^(\d{1,3})\/(\d{1,3})$/.exec(text);
  const [part, of] = [Number(match?.[1]), Number(match?.[2])];
  if (part >= 1 && part <= of && of <= 100) return { part, of };
  throw new InvalidArgumentError('It must be a part of at most a hundred, from 1, such as 1/2 and 2/2.');
}
