import { readJson } from '../../json-input';
import type { TimeZone } from '../../settings';
import { fromInput } from '../../text';
import type { CatchUp, SchedulePlan } from '../../types';
import { splitTag } from '../instances/filter';

/** Builds the plan of a schedule from a form. Throws if an input is invalid. */
export function planOf(data: FormData, input: string, zone: TimeZone): SchedulePlan {
  const text = (name: string) => String(data.get(name) ?? '').trim();
  const number = (name: string) => (text(name) === '' ? undefined : Number(text(name)));
  const json = readJson(input);
  if (json.error) throw new Error(json.error);
  const lines = text('tags').split('\n').filter(Boolean);
  if (lines.some((line) => !line.includes('='))) throw new Error('Each tag is a line of the form key=value');
  return {
    orchestration: text('orchestration'),
    version: text('version') || undefined,
    input: json.value,
    cron: text('cron') || undefined,
    everySeconds: number('everySeconds'),
    from: fromInput(text('from'), zone) ?? undefined,
    until: fromInput(text('until'), zone) ?? undefined,
    catchUp: text('catchUp') as CatchUp,
    catchUpAtMost: number('catchUpAtMost'),
    tags: Object.fromEntries(lines.map((line) => splitTag(line.trim()))),
    paused: text('paused') === 'on',
  };
}
