import { InstanceLink, Link } from '../components';
import { age, duration, fullTime } from '../format';
import { anyHref, entityOf } from '../router';
import { now } from '../store';
import { entityName } from './names';
import type { Part } from './reasons';

/** A sentence with names, links and times. */
export function Sentence({ parts }: { parts: Part[] }) {
  return (
    <>
      {parts.map((part) => {
        if (typeof part === 'string') return part;
        if ('code' in part) return <code>{part.code}</code>;
        if ('link' in part) return <Id id={part.link} />;
        return 'due' in part ? <Countdown due={part.due} /> : <Passed since={part.ago} />;
      })}
    </>
  );
}

/** A link to an orchestration or an entity. */
export function Id({ id }: { id: string }) {
  if (!entityOf(id)) return <InstanceLink id={id} />;
  return (
    <Link to={anyHref(id)} class="id" title={id}>
      {entityName(id)}
    </Link>
  );
}

/** The time that has passed, such as `3 min`. */
function Passed({ since }: { since: string }) {
  const text = age(since).replace(/ ago$/, '');
  return (
    <time dateTime={since} title={fullTime(since)}>
      {text === 'now' ? 'a moment' : text}
    </time>
  );
}

/** The time until something is due, counted down each second. */
function Countdown({ due }: { due: string }) {
  const left = Date.parse(due) - now.value;
  return (
    <time dateTime={due} title={fullTime(due)}>
      {left <= 0 ? 'now' : `in ${duration(Math.ceil(left / 1_000) * 1_000)}`}
    </time>
  );
}
